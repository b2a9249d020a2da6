import { exitCodes } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { jobsOf, labels } from '../platform/here.ts'
import type { Ui } from './cli.ts'
import { answeringHere } from './outside.ts'

/** What anybody may see: the services, and whether the gateway answers. Gives the exit code. */
export async function statusFromOutside(ui: Ui, look: Look): Promise<number> {
  const jobs = jobsOf({ ...look, uid: process.getuid?.() ?? 0 })
  const { warm: _, ...kept } = labels(look)
  const found = await Promise.all(
    Object.values(kept).map(async (label) => ({ label, state: (await jobs.job(look, label))?.state })),
  )
  if (found.every(({ state }) => state === undefined)) {
    ui.say(`Nothing of remote-ollama-proxy is installed here yet; sudo ${called('install')} does it.`)
    return exitCodes.failed
  }
  const base = await answeringHere(look)
  const good = base !== undefined && found.every(({ state = '' }) => state.startsWith('active'))
  const services = found.map(({ label, state = 'not there' }) => `  ${label.padEnd(38)}${state}`)
  if (ui.json) process.stdout.write(`${JSON.stringify({ code: good ? 0 : 1, base, services: found }, null, 2)}\n`)
  else {
    ui.say(
      base === undefined
        ? '✗ No gateway answers on this machine’s address of the tailnet.'
        : `✓ The gateway answers at ${base}.`,
    )
    ui.say(services.join('\n'))
    ui.say(`Settings, keys and all other checks are root’s alone to read: sudo ${called('status')}`)
  }
  return good ? exitCodes.done : exitCodes.failed
}
