import { exitCodes, Stop } from '../../host/command.ts'
import { typed } from '../../host/typed.ts'
import { standings } from '../../nodes/standing.ts'
import { setDrained } from '../../nodes/store.ts'
import { spell } from '../../site/settings.ts'
import { type Call, oneNode } from './change.ts'

/** rop nodes drain: no new requests; with --wait it ends when nothing of its runs. */
export async function drain(call: Call): Promise<number> {
  const { host, ui, settings, flags } = call
  const name = oneNode(call, 'drain')
  await setDrained(host, name, true)
  const running = async () => {
    const one = (await standings(host, settings)).find(({ node }) => node.name === name)
    return (one?.running ?? 0) + (one?.waiting ?? 0)
  }
  const left = await running()
  if (flags.wait !== true && left > 0)
    return said(
      call,
      name,
      { drained: true, running: left },
      `${name} takes no new requests; ${left} of its own go on. ${typed('nodes')} ready ${name} ends that.`,
    )
  const done = ui.busy(`${left} requests of ${name} are going on`, true)
  const ended = await host
    .until(`the answers of ${name} have ended`, settings.drain, async () => (await running()) === 0)
    .finally(done)
  if (!ended)
    throw new Stop(
      exitCodes.partly,
      `${name} takes no new requests, but ${await running()} of its own go on after ${spell(settings.drain)} (drain in settings.yaml).`,
    )
  return said(call, name, { drained: true, running: 0 }, `${name} is drained: nothing of its runs.`)
}

/** rop nodes ready: it takes requests again. */
export async function ready(call: Call): Promise<number> {
  const name = oneNode(call, 'ready')
  await setDrained(call.host, name, false)
  return said(call, name, { drained: false }, `${name} takes requests again.`)
}

function said({ ui }: Call, name: string, what: object, words: string): number {
  if (ui.json) process.stdout.write(`${JSON.stringify({ name, ...what }, null, 2)}\n`)
  else ui.say(words)
  return exitCodes.done
}

/** rop nodes wake: a magic packet on each network of this machine. */
export async function wake(call: Call): Promise<number> {
  const name = oneNode(call, 'wake')
  const mac = call.settings.nodes[name]?.mac
  if (mac === undefined)
    throw new Stop(exitCodes.usage, `${name} has no hardware address; write mac: under nodes.${name} in settings.yaml.`)
  await call.host.wake(mac)
  return said(
    call,
    name,
    { woken: true },
    `${name} was called (${mac}); it answers once it is up, if it lets itself be woken and is on this network.`,
  )
}
