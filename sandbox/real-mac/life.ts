import { setTimeout as pause } from 'node:timers/promises'
import { agentFile } from '../../lib/platform/mac/launchd.ts'
import { tailscaleState } from '../../lib/platform/tailscale.ts'
import { answers, ending, type Gateway, gateway, info, job, labels, look, run, script, uid } from './mac.ts'
import { type Step, step } from './step.ts'
import { installs } from './tolerated.ts'

/** Kills a process without a warning, and waits until another does its work. */
async function killed(
  { holds }: Step,
  at: Gateway,
  what: string,
  pid: () => Promise<number | undefined>,
): Promise<void> {
  const old = await pid()
  if (!holds(`${what} runs`, old !== undefined && old > 0) || old === undefined) return
  process.kill(old, 'SIGKILL')
  const other = await look.until(`another ${what}`, 120_000, async () => {
    const now = await pid()
    return now !== undefined && now > 0 && now !== old
  })
  holds(`${what} is there again after kill -9`, other)
  holds(`the gateway answers after ${what} was killed`, await answers(at))
}

async function restarted({ holds }: Step, at: Gateway): Promise<void> {
  const target = `gui/${uid}/${labels.gateway}`
  const kicked = await run(['launchctl', 'kickstart', '-k', target])
  holds('kickstart -k of the gateway', kicked.code === 0 && (await answers(at)), ending(kicked))
  await run(['launchctl', 'bootout', target])
  const gone = async () => (await look.query(['launchctl', 'print', target])).code === 113
  holds('bootout takes the gateway out', await look.until('it is gone', 60_000, gone))
  const loaded = await run(['launchctl', 'bootstrap', `gui/${uid}`, agentFile(look.home, labels.gateway)])
  holds('bootstrap brings it back', loaded.code === 0 && (await answers(at)), ending(loaded))
}

/** Tailscale goes away and comes back; the listener on its address should live through that. */
async function offAndOn({ holds, note }: Step, at: Gateway): Promise<void> {
  const { cli = 'tailscale' } = await tailscaleState(look)
  const tailscale = (...words: string[]) => run(['env', 'TAILSCALE_BE_CLI=1', cli, ...words], 120_000)
  const before = (await info()).Pid
  const down = await tailscale('down')
  holds('tailscale down', down.code === 0, ending(down))
  await pause(5000)
  const up = await tailscale('up')
  holds('tailscale up', up.code === 0, ending(up))
  holds('the gateway answers after Tailscale was off and on', await answers(at))
  note(`the worker ${(await info()).Pid === before ? 'lived through it' : 'is another one afterwards'}`)
}

async function upgraded(row: Step, at: Gateway): Promise<void> {
  const { holds, skip } = row
  const brew = await look.find(['brew', '/opt/homebrew/bin/brew'])
  if (!brew) return skip('brew reinstall haproxy', 'Homebrew is not here')
  const again = await run([brew, 'reinstall', 'haproxy'])
  holds('brew reinstall haproxy', again.code === 0, ending(again))
  await installs(row, 'install.ts after it', ['--yes'])
  holds('the gateway answers after it', await answers(at))
}

/** Step 11: what happens to a machine that runs for months. */
await step('life', async (row) => {
  const at = await gateway(row)
  if (!at) return
  const pidOf = (label: string) => async () => (await job(label))?.pid
  await killed(row, at, 'the worker', async () => Number((await info()).Pid ?? 0))
  await killed(row, at, 'the master', pidOf(labels.gateway))
  await killed(row, at, 'Ollama', pidOf(labels.engine))
  await killed(row, at, 'the observer', pidOf(labels.observer))
  await restarted(row, at)
  await offAndOn(row, at)
  await upgraded(row, at)
  const status = await script('status.ts')
  row.keep('status.txt', `${status.stdout}\n${status.stderr}`)
  row.holds('status.ts ends with 0 after all that', status.code === 0, ending(status))
})
