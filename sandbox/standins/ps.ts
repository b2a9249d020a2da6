import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Box, MacState } from './box.ts'
import { ownProcesses, type Process, processes } from './processes.ts'
import { complain, say } from './system.ts'

/** macOS's priorities: 31 for what a person runs and Interactive jobs, less for throttled jobs (traycerai/traycer#705). */
function priority({ environment }: Process): number {
  const { XPC_SERVICE_NAME: label, HOME: home } = environment
  if (label === undefined || label === '0' || home === undefined) return 31
  try {
    const text = readFileSync(join(home, 'Library/LaunchAgents', `${label}.plist`), 'utf8')
    const type = /<key>ProcessType<\/key>\s*<string>(\w+)</.exec(text)?.[1]
    return { Interactive: 31, Background: 4 }[type ?? ''] ?? 20
  } catch {
    return 20
  }
}

const two = (value: number) => String(value).padStart(2, '0')

/** `Sat Nov 21 09:30:05 2026`, as lstart shows it. */
function longDate(ms: number): string {
  const date = new Date(ms)
  const [weekday, month] = date.toDateString().split(' ')
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${weekday} ${month} ${String(date.getDate()).padStart(2)} ${time} ${date.getFullYear()}`
}

function elapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':')
  const hours = Math.floor(seconds / 3600)
  return hours === 0 ? parts : `${hours >= 24 ? `${Math.floor(hours / 24)}-` : ''}${two(hours % 24)}:${parts}`
}

function cpuTime(ms: number): string {
  return `${Math.floor(ms / 60_000)}:${((ms % 60_000) / 1000).toFixed(2).padStart(5, '0')}`
}

type Column = [title: string, value: (process: Process, mac: MacState) => string | number, left?: 'left']

const user = ({ pid }: Process, mac: MacState) => (pid === 1 ? 'root' : mac.user)
const args: Column = ['ARGS', (process) => process.args.join(' '), 'left']

const columns: Record<string, Column> = {
  pid: ['PID', ({ pid }) => pid],
  ppid: ['PPID', ({ ppid }) => ppid],
  pgid: ['PGID', ({ pgid }) => pgid],
  uid: ['UID', ({ pid }, mac) => (pid === 1 ? 0 : mac.uid)],
  user: ['USER', user, 'left'],
  comm: ['COMM', (process) => process.args[0] ?? process.command, 'left'],
  ucomm: ['UCOMM', ({ command }) => command, 'left'],
  args,
  command: ['COMMAND', args[1], 'left'],
  pri: ['PRI', priority],
  nice: ['NI', () => 0],
  lstart: ['STARTED', ({ started }) => longDate(started), 'left'],
  etime: ['ELAPSED', ({ started }) => elapsed(Date.now() - started)],
  time: ['TIME', ({ cpu }) => cpuTime(cpu)],
  rss: ['RSS', ({ memory }) => Math.round(memory / 1024)],
  '%cpu': ['%CPU', ({ cpu, started }) => ((100 * cpu) / Math.max(1, Date.now() - started)).toFixed(1)],
  stat: ['STAT', ({ state }) => ({ D: 'U' })[state] ?? state, 'left'],
  state: ['STAT', ({ state }) => ({ D: 'U' })[state] ?? state, 'left'],
  tty: ['TTY', () => '??', 'left'],
}

interface Question {
  /** column and its title; an empty title shows none */
  shown: [string, string][]
  pids: number[] | undefined
  all: boolean
}

/** `-o pid=,user=` and `-o pid= -o user=`; a title runs to the end of its word. */
function columnList(text: string): [string, string][] {
  return text.split(',').map((part) => {
    const [name = '', title] = part.split('=')
    return [name, title ?? columns[name]?.[0] ?? name]
  })
}

function parse(argv: string[]): Question {
  const question: Question = { shown: [], pids: undefined, all: false }
  const words = [...argv]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const letters = word.replace(/^-/, '')
    const at = letters.search(/[op]/)
    const flags = at < 0 ? letters : letters.slice(0, at)
    if (/[aAexd]/.test(flags)) question.all = true
    if (/^\d+$/.test(word)) question.pids = [Number(word)]
    if (at < 0) continue
    const value = letters.slice(at + 1) || (words.shift() ?? '')
    if (letters[at] === 'o') question.shown.push(...columnList(value))
    else question.pids = [...(question.pids ?? []), ...value.split(/[ ,]/).map(Number)]
  }
  return question
}

function printed(found: Process[], shown: [string, string][], mac: MacState): string[] {
  const titled = shown.some(([, title]) => title !== '')
  const cells = found.map((process) => shown.map(([name]) => String(columns[name]?.[1](process, mac) ?? '')))
  const table = titled ? [shown.map(([, title]) => title), ...cells] : cells
  const widths = shown.map((_, at) => Math.max(0, ...table.map((row) => row[at]?.length ?? 0)))
  return table.map((row) =>
    row
      .map((cell, at) => {
        const last = at === row.length - 1
        if (columns[shown[at]?.[0] ?? '']?.[2] !== 'left') return cell.padStart(widths[at] ?? 0)
        return last ? cell : cell.padEnd(widths[at] ?? 0)
      })
      .join(' '),
  )
}

/** ps by -o and -p, -ax and the like: the box's real processes, under the names that a Mac would show. */
export function main(argv: string[], box: Box): number {
  const { mac } = box
  const question = parse(argv)
  const shown = question.shown.length > 0 ? question.shown : columnList('pid,tty,time,command')
  const unknown = shown.find(([name]) => !columns[name])
  if (unknown) return complain(`ps: ${unknown[0]}: keyword not found`)
  const found = (question.pids || !mac.network.shared ? processes() : ownProcesses(box)).filter(
    ({ pid }) => question.pids?.includes(pid) ?? true,
  )
  const lines = printed(found, shown, mac)
  if (lines.length > 0) say(lines.join('\n'))
  return found.length > 0 ? 0 : 1
}
