import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'
import { isProbe } from '../observer/own-requests.ts'
import { type Usage as DayUsage, dayOf, readUsage, type Share } from '../observer/usage.ts'
import type { Flags, Ui } from './cli.ts'
import { chart, type Day } from './screens/chart.ts'
import { columns } from './screens/wrap.ts'

/** What somebody had of one model; who is the key, the person or the address. */
export interface Usage extends Share {
  who: string
  model: string
}

/** What a node did. */
interface NodeShare {
  node: string
  requests: number
  seconds: number
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
export async function usageSince(look: Look, first: string): Promise<Map<string, Usage[]>> {
  return new Map([...(await readUsage(look, first))].map(([day, { who }]) => [day, rowsOf(who)]))
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

/** status --report: who used how much, by model; as text, JSON or CSV. */
export async function report(ui: Ui, flags: Flags): Promise<number> {
  const first = firstDay(typeof flags.since === 'string' ? flags.since : '7d')
  const look = realLook(ui.note)
  const days = await usageSince(look, first)
  const nodes = nodeSums([...(await readUsage(look, first)).values()])
  const rows = sums([...days.values()].flat())
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify({ since: first, usage: rows, ...(nodes.length > 0 ? { nodes } : {}) }, null, 2)}\n`,
    )
  else if (flags.csv) process.stdout.write(csv(rows))
  else ui.say([text(days, first, Math.min(ui.width, 80)), ...nodeTable(nodes)].join('\n'))
  return exitCodes.done
}

/** What each node did, the busiest first. */
function nodeSums(days: DayUsage[]): NodeShare[] {
  const all = new Map<string, NodeShare>()
  for (const { nodes = {} } of days)
    for (const [node, one] of Object.entries(nodes)) {
      const { requests, seconds } = all.get(node) ?? { requests: 0, seconds: 0 }
      all.set(node, { node, requests: requests + one.requests, seconds: seconds + one.seconds })
    }
  return [...all.values()].sort((one, other) => other.seconds - one.seconds)
}

const nodeTable = (nodes: NodeShare[]): string[] =>
  nodes.length === 0
    ? []
    : [
        '',
        ...columns(
          [
            ['node', 'requests', 'generating'],
            ...nodes.map(({ node, requests, seconds }) => [node, `${requests}`, spoken(seconds)]),
          ],
          '',
        ),
      ]

/** How many days are drawn at most. */
const drawn = 31

/** Every day up to today, what nobody used too; the newest where they are many. */
function daysOf(usage: Map<string, Usage[]>, first: string, now: Date): Day[] {
  const days: Day[] = []
  for (let ago = 0; ago < drawn; ago += 1) {
    const day = dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() - ago))
    if (day < first) break
    days.unshift({ day, seconds: secondsOf(usage.get(day) ?? []) })
  }
  return days
}

function secondsOf(rows: Usage[]): Day['seconds'] {
  const seconds: Day['seconds'] = {}
  for (const row of rows) seconds[row.model] = (seconds[row.model] ?? 0) + row.seconds
  return seconds
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

/** The report for people, `width` columns wide: seconds of generation by day and model as bars, then who had how much of what. */
export function text(usage: Map<string, Usage[]>, first: string, width: number, now = new Date()): string {
  const rows = sums([...usage.values()].flat())
  if (rows.length === 0) return `Nothing was asked since ${first}, or the observer did not run.`
  const bars = chart(daysOf(usage, first, now), width, spoken)
  return [`Since ${first}:`, ...(bars.length > 0 ? [...bars, ''] : []), ...table(rows)].join('\n')
}

function table(rows: Usage[]): string[] {
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
  return all.map((line) =>
    line.map((text, at) => (at < 2 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0))).join('  '),
  )
}

/** 3725 s is `1 h 02 min`. */
function spoken(seconds: number): string {
  if (seconds < 90) return `${seconds.toFixed(1)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${`${minutes % 60}`.padStart(2, '0')} min`
}

const sized = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`
