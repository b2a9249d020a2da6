import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'
import { isProbe } from '../observer/own-requests.ts'
import { dayOf, readUsage, type Share } from '../observer/usage.ts'
import type { Flags, Ui } from './cli.ts'

/** What somebody had of one model; who is the key, the person or the address. */
export interface Usage extends Share {
  who: string
  model: string
}

/** Sums by person and model, who had most first. */
export function sums(rows: Usage[]): Usage[] {
  const all = new Map<string, Usage>()
  for (const one of rows) {
    const key = `${one.who}\0${one.model}`
    const sum = all.get(key) ?? { who: one.who, model: one.model, requests: 0, refused: 0, seconds: 0, bytes: 0 }
    all.set(key, {
      ...sum,
      requests: sum.requests + one.requests,
      refused: sum.refused + one.refused,
      seconds: sum.seconds + one.seconds,
      bytes: sum.bytes + one.bytes,
    })
  }
  return [...all.values()].sort((one, other) => other.seconds - one.seconds || other.requests - one.requests)
}

/** The days from this one on (`YYYY-MM-DD`, local), as the observer keeps them; a day that cannot be read is left out. */
export async function usageSince(look: Look, first: string): Promise<Usage[]> {
  return sums([...(await readUsage(look, first)).values()].flatMap(({ who }) => rowsOf(who)))
}

const rowsOf = (people: Record<string, Record<string, Share>>): Usage[] =>
  Object.entries(people)
    .filter(([who]) => !isProbe(who))
    .flatMap(([who, models]) => Object.entries(models).map(([model, share]) => ({ who, model, ...share })))

const dayMs = 86_400_000

/** The first day of `7d`, `4w` or `2026-11-01`. Throws `Stop` (exit 2) on anything else. */
export function firstDay(since: string, now = new Date()): string {
  const [, count = '', unit] = /^([1-9]\d{0,2})([dw])$/.exec(since) ?? []
  if (unit) return dayOf(new Date(now.getTime() - (Number(count) * (unit === 'w' ? 7 : 1) - 1) * dayMs))
  if (/^\d{4}-\d\d-\d\d$/.test(since) && !Number.isNaN(Date.parse(since))) return since
  throw new Stop(
    exitCodes.usage,
    `--since ${JSON.stringify(since.slice(0, 40))} is no time; write 7d, 4w or 2026-11-01.`,
  )
}

/** status.ts --report: who used how much, by model; as text, JSON or CSV. */
export async function report(ui: Ui, flags: Flags): Promise<number> {
  const first = firstDay(typeof flags.since === 'string' ? flags.since : '7d')
  const rows = await usageSince(realLook(ui.note), first)
  if (ui.json) process.stdout.write(`${JSON.stringify({ since: first, usage: rows }, null, 2)}\n`)
  else if (flags.csv) process.stdout.write(csv(rows))
  else ui.say(table(rows, first))
  return exitCodes.done
}

const heads = ['who', 'model', 'requests', 'refused', 'seconds', 'bytes'] as const

/** RFC 4180; a text that a spreadsheet would take for a formula is written as text. */
export function csv(rows: Usage[]): string {
  const cell = (value: string | number): string =>
    typeof value === 'number'
      ? `${Math.round(value * 10) / 10}`
      : `"${value.replace(/^(?=[=+\-@])/, "'").replaceAll('"', '""')}"`
  return [heads.join(','), ...rows.map((one) => heads.map((head) => cell(one[head])).join(','))]
    .map((line) => `${line}\r\n`)
    .join('')
}

/** A table for people. */
export function table(rows: Usage[], first: string): string {
  if (rows.length === 0) return `Nothing was asked since ${first}, or the observer did not run.`
  const cells = rows.map((one) => [
    one.who || '-',
    one.model || '-',
    `${one.requests}`,
    `${one.refused}`,
    spoken(one.seconds),
    sized(one.bytes),
  ])
  const all = [['who', 'model', 'requests', 'refused', 'generating', 'sent'], ...cells]
  const widths = all[0]?.map((_, at) => Math.max(...all.map((line) => line[at]?.length ?? 0))) ?? []
  const lines = all.map((line) =>
    line.map((text, at) => (at < 2 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0))).join('  '),
  )
  return [`Since ${first}:`, ...lines].join('\n')
}

/** 3725 s is `1 h 02 min`. */
function spoken(seconds: number): string {
  if (seconds < 90) return `${seconds.toFixed(1)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${`${minutes % 60}`.padStart(2, '0')} min`
}

const sized = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`
