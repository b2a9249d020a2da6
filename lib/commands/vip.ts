import { exitCodes, Stop } from '../host/command.ts'
import { realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { heldBy, type Pair, pairOf, telling } from '../parts/vip-holder.ts'
import { platformOf } from '../platform/here.ts'
import type { VirtualRouter } from '../platform/platform.ts'
import type { Vip } from '../site/vip.ts'
import { takeLock } from '../steps/receipt.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { installed, type Prepared, prepare } from './prepare.ts'

/** All that a question about the pair is asked with. */
interface Asked extends Prepared {
  ui: Ui
  host: ReturnType<typeof realHost>
  router: VirtualRouter
  vip: Vip
}

/** vip: who has the address that two gateways have in turn, and giving it away. */
async function run(ui: Ui, _flags: Flags, [word, ...more]: string[]): Promise<number> {
  if ((word !== undefined && word !== 'move') || more.length > 0)
    throw new Stop(exitCodes.usage, `${called('vip')} takes nothing, or move: ${typed('vip move')}`)
  const host = realHost(ui.note, ui.waiting)
  const prepared = await prepare(host, ui)
  const { vip } = prepared.setup.settings
  const router = platformOf(host).virtualRouter
  if (!vip || !router || !(await installed(host)))
    throw new Stop(
      exitCodes.precondition,
      `This gateway shares no address with another one: ${vip ? `run ${called('install')} first` : 'settings.yaml has no vip'}. Nothing was changed.`,
    )
  const asked = { ...prepared, ui, host, router, vip }
  if (word === undefined) return show(asked)
  const release = await takeLock(host)
  return move(asked).finally(release)
}

async function show({ ui, host, router, machine, vip }: Asked): Promise<number> {
  const [pair, since, counts] = await Promise.all([
    pairOf(host, router, machine, vip),
    router.since(host),
    telling(host, vip),
  ])
  const { holder, reachable } = pair
  const whole = holder.is === 'here' || holder.is === 'peer'
  const when = since === undefined ? undefined : new Date(since).toISOString()
  const code = whole ? exitCodes.done : exitCodes.failed
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify({ address: vip.address, holder, since: when, peer: { address: vip.peer, reachable, counts }, code }, null, 2)}\n`,
    )
  else ui.say(told({ ...pair, counts }, vip, when))
  return code
}

function told({ holder, reachable, counts }: Pair & { counts: boolean }, vip: Vip, when: string | undefined): string {
  const since = when && holder.is !== 'stranger' ? `, since ${when.slice(0, 19).replace('T', ' ')} UTC` : ''
  const help = holder.is === 'here' || holder.is === 'peer' ? [] : [`\`${typed('doctor')}\` says what is wrong.`]
  return [
    `Holder  ${heldBy(holder, vip)}${since}`,
    `Peer    ${vip.peer} ${reachable ? 'is there' : 'does not answer, so nobody would take over'}`,
    `Counts  ${counts ? 'each knows what the other has counted' : 'not connected, so each counts for itself'}`,
    ...help,
  ].join('\n')
}

/** ms within which the other gateway must have it */
const patience = 5000

/** Gives the address to the other gateway; whoever asks meanwhile waits for less than a second. */
async function move({ ui, host, router, machine, vip }: Asked): Promise<number> {
  const { holder, reachable } = await pairOf(host, router, machine, vip)
  if (holder.is !== 'here')
    throw new Stop(
      exitCodes.precondition,
      `Only the gateway that has the address can give it away: ${heldBy(holder, vip)}. Nothing was changed.`,
    )
  if (!reachable)
    throw new Stop(
      exitCodes.precondition,
      `The other gateway does not answer at ${vip.peer}, so it would not take the address. Nothing was changed.`,
    )
  await router.yields(host)
  const now = async () => (await pairOf(host, router, machine, vip)).holder
  const taken = await host.until(`${vip.peer} has it`, patience, async () => (await now()).is === 'peer', 100)
  const after = await now()
  if (ui.json)
    process.stdout.write(`${JSON.stringify({ address: vip.address, moved: taken, holder: after }, null, 2)}\n`)
  if (taken) {
    ui.say(`Moved: ${heldBy(after, vip)}. Answers that ran over it here are cut; clients ask again.`)
    return exitCodes.done
  }
  throw new Stop(
    exitCodes.failed,
    `The other gateway did not take the address within ${patience / 1000} s: ${heldBy(after, vip)}. See ${typed('status')} there.`,
  )
}

export const script: Script = {
  usage: `Usage: ${typed('vip')} [move] [--json]
The address that two gateways have in turn (vip in settings.yaml): which one has it, since when, and whether the other is there.

  move       gives it to the other gateway, from the one that has it; answers that run over it are cut
  --json     one JSON document on stdout`,
  options: { json: { type: 'boolean' } },
  positionals: true,
  words: ['move'],
  log: ([word]) => (word === 'move' ? 'vip' : undefined),
  run,
}
