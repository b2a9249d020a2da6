import { setTimeout as sleep } from 'node:timers/promises'
import type { ChalkInstance } from 'chalk'
import { z } from 'zod'
import { engineLoad } from '../haproxy/runtime.ts'
import { type Stream, streams } from '../haproxy/streams.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { isProbe, ownRequests } from '../observer/own-requests.ts'
import { places } from '../platform/here.ts'
import type { Ui } from './cli.ts'

/** What happens on the server now. */
export interface Live {
  running: Stream[]
  /** requests that wait for a slot */
  waiting: number
  /** requests to a model that each person started within the last minute */
  rates: { who: string; aMinute: number }[]
  refusals: Refusal[]
}

const refusal = z.object({
  time: z.string(),
  who: z.string().default(''),
  method: z.string(),
  path: z.string(),
  address: z.string().default(''),
  agent: z.string().default(''),
  status: z.number(),
  /** the policy that refused */
  denied: z.string().optional(),
})
export type Refusal = z.infer<typeof refusal>

const shownRefusals = 8

/** Looks once; undefined when no worker answers. Refusals come from the log, so there are none with `log: off`. */
export async function live(look: Look): Promise<Live | undefined> {
  const load = await engineLoad(look)
  if (!load) return undefined
  const at = places(look)
  return {
    running: (await streams(look)).filter(({ who }) => !isProbe(who)),
    waiting: load.waiting,
    rates: ratesOf((await look.ask(at.adminSocket, 'show table people')) ?? ''),
    refusals: refusalsOf((await look.read(at.requestLog)) ?? '', await ownRequests(look)),
  }
}

/** Requests a minute by person, the busiest first, from `show table people`. */
export const ratesOf = (table: string): Live['rates'] =>
  table
    .split('\n')
    .flatMap((line) => {
      const [, who = '', count] = /key=(\S+) .*gpc0_rate\(60000\)=(\d+)/.exec(line) ?? []
      return Number(count) > 0 && !isProbe(who) ? [{ who, aMinute: Number(count) }] : []
    })
    .sort((one, other) => other.aMinute - one.aMinute)

/** The last requests of others that were refused, the newest first. */
export const refusalsOf = (log: string, own: (request: Refusal) => boolean = () => false): Refusal[] =>
  log
    .split('\n')
    .slice(-500)
    .flatMap((line) => {
      const found = refusal.safeParse(parsed(line))
      return found.success && found.data.status >= 400 && !own(found.data) ? [found.data] : []
    })
    .slice(-shownRefusals)
    .reverse()

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const reasons: Record<number, string> = {
  400: 'not understood',
  401: 'no key that counts',
  403: 'not allowed',
  408: 'came too slowly',
  413: 'too large',
  421: 'foreign host name',
  429: 'over a limit',
  502: 'Ollama gave no valid answer',
  503: 'Ollama is down',
  504: 'Ollama stayed silent',
}

/** One screen: who generates with which model, what waits, who asks how often, what was refused and why. */
export function picture({ running, waiting, rates, refusals }: Live, chalk: ChalkInstance): string {
  const rows = (list: string[]) => (list.length > 0 ? list : ['  none'])
  return [
    chalk.bold(`Running (${running.length}), waiting (${waiting})`),
    ...rows(running.map((stream) => `  ${streamLine(stream)}`)),
    chalk.bold('Requests to a model in the last minute'),
    ...rows(rates.map(({ who, aMinute }) => `  ${who.padEnd(24)} ${aMinute}`)),
    chalk.bold('Last refusals'),
    ...rows(refusals.map((one) => `  ${refusalLine(one)}`)),
  ].join('\n')
}

/** Where no key or rule names anybody, the address does. */
const streamLine = ({ who, client, model, started, server }: Stream): string => {
  const age = `${Math.max(0, Math.round((Date.now() - started) / 1000))} s`
  const state = server === 'engine' ? age : server ? `${age}, its model is loaded` : `${age}, waits`
  return `${(who === '-' ? client.replace(/:\d+$/, '') : who).padEnd(24)} ${(model === '-' ? '' : model).padEnd(28)} ${state}`
}

/** As the clock on the wall of this machine says it. */
const local = (time: string): string => {
  const at = new Date(time)
  return Number.isNaN(at.getTime()) ? time : at.toLocaleString('sv-SE')
}

const refusalLine = ({ time, who, method, path, status, denied }: Refusal): string =>
  `${local(time)}  ${status} ${reasons[status] ?? 'failed'}${denied ? ` (${denied})` : ''}  ${method} ${path}${who ? `  (${who})` : ''}`

/** On a terminal a key is read as it is typed: q leaves, as Ctrl-C does. */
function leaveWith(q: string): void {
  if (!process.stdin.isTTY) return
  process.stdin.setRawMode(true).on('data', (typed) => {
    if (![q, '\u0003'].includes(`${typed}`)) return
    process.stdin.setRawMode(false)
    process.exit(exitCodes.done)
  })
}

/** Shows what a look gives, every second until q or Ctrl-C; on a terminal in place, else one below the other. */
export async function everySecond(ui: Ui, look: () => Promise<string>): Promise<never> {
  // Whoever reads on (`| head`) may stop reading, and whoever watches may stop watching.
  process.stdout.on('error', () => process.exit(exitCodes.done))
  leaveWith('q')
  process.removeAllListeners('SIGINT').once('SIGINT', () => process.exit(exitCodes.done))
  const [anew, leave] = [process.stdout.isTTY && !ui.json ? '\x1b[H\x1b[J' : '', process.stdin.isTTY && !ui.json]
  for (;;) {
    const text = await look()
    process.stdout.write(`${anew}${text}\n${leave ? ui.chalk.dim('q leaves\n') : ''}`)
    await sleep(1000)
  }
}

/** status.ts --watch: what happens now, with --json a line each. */
export function watch(ui: Ui): Promise<never> {
  const look = realLook(ui.note)
  return everySecond(ui, async () => {
    const now = await live(look)
    if (!now) throw new Stop(exitCodes.precondition, `The gateway does not answer; see: ${typed('status')}`)
    return ui.json ? JSON.stringify(now) : picture(now, ui.chalk)
  })
}
