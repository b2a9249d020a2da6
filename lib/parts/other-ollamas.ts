import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { jobsOf, labels, listeners, platformOf } from '../platform/here.ts'
import { ancestry, isLoopback, type Keeper, type ListenerFact, type Process } from '../platform/platform.ts'
import { destination } from '../platform/tailscale-serve.ts'
import type { Machine } from '../site/machine.ts'
import type { Receipt } from '../site/receipt.ts'
import type { Settings } from '../site/settings.ts'
import { saveReceipt } from '../steps/receipt.ts'

/** An Ollama (or something else on its port) that is not ours: who starts it, how to stop it for good, and how to bring it back. */
export interface Other extends Omit<Keeper, 'who'> {
  what: string
  /** what it is called when its process is gone; `what` unless told */
  called?: string
  /** where it listens now */
  holds: ListenerFact[]
}

/** The command that brings one back, as a person types it. */
export function asTyped(back: string[]): string {
  if (back.length === 0) return 'start it again as you did before'
  const [shell, flag, script] = back
  return shell === 'sh' && flag === '-c' && script !== undefined ? script : back.join(' ')
}

/** All of them in words. */
export const named = (found: Other[]): string => found.map(({ what }) => what).join('; ')

/** What helps against all of them: what only their owner can do where there is such a thing, else `otherwise`. */
export function remedyFor(found: Other[], otherwise: string): string {
  const musts = found.flatMap(({ stop, must }) => (stop.length === 0 && must ? [must] : []))
  return musts.length > 0 ? `${musts.join('; then ')}; then run ${called('install')} again.` : otherwise
}

/** The app (which would end our server and take the port), whoever holds the ports on whatever address, and jobs that start one at login. */
export async function others(look: Look, machine: Machine, settings: Settings): Promise<Other[]> {
  const { keepers, processes } = platformOf(machine)
  const [all, held, job, app] = await Promise.all([
    processes.all(look),
    holders(look, settings),
    jobsOf(machine).job(look, labels(machine).engine),
    keepers.ollamaApp(look, machine),
  ])
  const foreign = held.filter(({ pid }) => pid === undefined || pid !== job?.pid)
  const byApp = ({ pid }: ListenerFact) =>
    app !== undefined && pid !== undefined && ancestry(all, pid).slice(1).some(keepers.isOllamaApp)
  const rest = foreign.filter((one) => !byApp(one))
  const pids = [...new Set(rest.map(({ pid }) => pid))]
  const running = await Promise.all(
    pids.map((pid) => {
      const own = rest.filter((one) => one.pid === pid)
      return pid === undefined ? hidden(look, machine, all, own) : holder(look, machine, all, pid, own)
    }),
  )
  const found = [...(app ? [{ ...app, what: app.who, holds: foreign.filter(byApp) }] : []), ...running]
  const known = new Set(found.map((other) => other.job))
  return [...found, ...(await sleepers(look, machine, settings)).filter((other) => !known.has(other.job))]
}

/** Everybody on Ollama’s port, and Ollamas on the gateway’s. */
async function holders(look: Look, { port, engine }: Settings): Promise<ListenerFact[]> {
  const there = (await listeners(look, engine.port)).filter(({ command }) => !command?.includes('haproxy'))
  if (port === engine.port) return there
  return [...there, ...(await listeners(look, port)).filter(({ command }) => command === 'ollama')]
}

const places = (held: ListenerFact[]): string => [...new Set(held.map(({ address }) => address))].join(' and ')

/** Whoever listens there, by the job or program that starts it. */
async function holder(look: Look, machine: Machine, all: Process[], pid: number, held: ListenerFact[]): Promise<Other> {
  const { keepers, packages } = platformOf(machine)
  const args = all.find((one) => one.pid === pid)?.args ?? ''
  const shown = packages.stable(`${held[0]?.command} (process ${pid}) on ${places(held)}${args ? `: ${args}` : ''}`)
  const keeper = await keepers.of(look, machine, all, pid)
  if (!keeper) return { what: shown, holds: held, stop: [['kill', `${pid}`]], back: [] }
  return keeper.job
    ? { ...keeper, holds: held, what: `${keeper.who} (${shown})`, called: keeper.who }
    : { ...keeper, holds: held, what: shown }
}

const serving = /(^|[/"'\s])ollama["']?\s+(serve|start)\b/

/** What another user runs is seen by its port alone; its process and the machine’s jobs say whose it is. */
async function hidden(look: Look, machine: Machine, all: Process[], held: ListenerFact[]): Promise<Other> {
  const { keepers, listeners } = platformOf(machine)
  const process = all.find(({ user, args }) => user !== machine.user && serving.test(args))
  const keeper = process && (await keepers.of(look, machine, all, process.pid))
  const base = { stop: [], back: [], holds: held }
  if (!process) {
    const must = `find it with \`sudo ${listeners.typed(held[0]?.port ?? 0)}\` and stop it there`
    return { ...base, what: `a program of another user on ${places(held)}`, must }
  }
  const shown = `ollama (process ${process.pid} of ${process.user}) on ${places(held)}`
  if (!keeper?.job) return { ...base, what: shown, must: `sudo kill ${process.pid}` }
  return { ...base, job: keeper.job, what: `${keeper.who} (${shown})`, must: keeper.must ?? `sudo kill ${process.pid}` }
}

/** Jobs that start an Ollama for our ports by themselves. */
async function sleepers(look: Look, machine: Machine, settings: Settings): Promise<Other[]> {
  const jobs = await platformOf(machine).keepers.written(look, machine, /ollama/i)
  const found = await Promise.all(
    jobs.map(async ({ keeper, words, variable, when }): Promise<Other[]> => {
      const inWords = /OLLAMA_HOST=["']?([^\s"']+)/.exec(words.join(' '))?.[1]
      const wants = conflicts(variable('OLLAMA_HOST') ?? inWords ?? '', settings) && (await serves(look, words))
      return wants ? [{ ...keeper, what: `${keeper.who}, which starts an Ollama ${when}`, holds: [] }] : []
    }),
  )
  return found.flat()
}

/** Whether these words start an Ollama, by themselves or by a script that they name. */
async function serves(look: Look, words: string[]): Promise<boolean> {
  if (serving.test(words.join(' '))) return true
  const scripts = words.filter((word) => word.startsWith('/') && !word.endsWith('/ollama'))
  const texts = await Promise.all(scripts.map((file) => look.read(file).catch(() => undefined)))
  return texts.some((text) => text !== undefined && text.length < 100_000 && serving.test(text))
}

/** Whether an Ollama with this OLLAMA_HOST wants a port of ours (ollama: envconfig/config.go). */
function conflicts(value: string, { port, engine }: Settings): boolean {
  const wanted = destination(value) ?? { host: value, port: 11434 }
  if ('socket' in wanted) return false
  return wanted.port === engine.port || (wanted.port === port && value !== '' && !isLoopback(wanted.host))
}

/** Stops them and remembers how to bring them back. Throws `Stop` (exit 3) with what is left to do when one comes back. */
export async function stopOthers(
  host: Host,
  machine: Machine,
  { receipt, settings }: { receipt: Receipt; settings: Settings },
  found: Other[],
): Promise<void> {
  const { harmless } = platformOf(machine).keepers
  for (const other of found) {
    const known = receipt.stopped.some(({ back }) => back.length > 0 && back.join() === other.back.join())
    if (!known) receipt.stopped.push({ what: other.called ?? other.what, back: other.back })
    await saveReceipt(host, receipt)
    for (const argv of other.stop) await host.run(argv, { codes: harmless(argv) })
  }
  if (found.every(({ must }) => must === undefined)) return
  const before = new Set(found.flatMap(({ holds }) => holds.map(({ pid }) => pid)))
  let again: Other | undefined
  // A loop starts the next one within moments; only waiting shows it.
  await host.until('the other Ollama to come back', 6000, async () => {
    again = (await others(host, machine, settings)).find(({ holds }) => holds.some(({ pid }) => !before.has(pid)))
    return again !== undefined
  })
  if (again)
    throw new Stop(
      exitCodes.precondition,
      `It was stopped and came back (${again.what}): ${remedyFor([{ ...again, stop: [] }], '')}`,
    )
}
