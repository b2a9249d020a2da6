import type { Host } from '../lib/host/host.ts'
import type { Say } from '../lib/host/look.ts'
import { places } from '../lib/platform/mac/places.ts'
import type { Memory } from './memory-host.ts'

/** A worker of HAProxy as far as our commands reach: its maps by number, one stick table, its sessions, the width of the loading slot. */
export interface MemoryWorker {
  maps: Record<number, { file: string; lines: Map<string, string> }>
  /** `show table streams` */
  streams: string
  /** `show sess`, by the name of each session */
  sessions: Record<string, string>
  slot: number
}

export const memoryWorker = (parts: Partial<MemoryWorker> = {}): MemoryWorker => ({
  ...{ maps: {}, streams: '', sessions: {}, slot: 1 },
  ...parts,
})

/** Answers a command as HAProxy does, and does it; an empty line ends each answer. */
function answer(pid: string, worker: MemoryWorker, command: string): string {
  const [, verb, id = '', key = '', value = ''] = /^(add|set|del) map #(\d+) (\S+)(?: (.*))?$/.exec(command) ?? []
  if (verb === 'del') worker.maps[Number(id)]?.lines.delete(key)
  else if (verb) worker.maps[Number(id)]?.lines.set(key, value)
  const shown = /^show map #(\d+)$/.exec(command)?.[1]
  const ended = /^shutdown session (\S+)$/.exec(command)?.[1]
  if (ended) delete worker.sessions[ended]
  const room = /^set maxconn server inference\/loading (\d+)$/.exec(command)?.[1]
  if (room) worker.slot = Number(room)
  const said: Record<string, string> = {
    'show info': `Pid: ${pid}\n`,
    'show map': Object.entries(worker.maps)
      .map(([number, { file }]) => `${number} (${file}) pattern\n`)
      .join(''),
    'show table streams': worker.streams,
    'show sess': Object.values(worker.sessions).join(''),
    'show stat': `# pxname,svname,slim\ninference,loading,${worker.slot}\n`,
  }
  const rows = shown
    ? [...(worker.maps[Number(shown)]?.lines ?? [])].map(([name, text]) => `0x1 ${name} ${text}\n`)
    : []
  return `${said[command] ?? rows.join('')}\n`
}

/** Gives a host in memory these workers, the current one first; what they are told beside questions is kept as `PID command`. */
export function withWorkers(host: Host & Memory, workers: Record<string, MemoryWorker>): { told: string[] } {
  const told: string[] = []
  const { adminSocket } = places(host.home)
  const to = (pid: string, command: string): string => {
    const worker = workers[pid]
    if (!worker) return `Can't find the target PID matching the prefix '@!${pid}'\n`
    if (!command.startsWith('show ')) told.push(`${pid} ${command}`)
    return answer(pid, worker, command)
  }
  const proc = () =>
    Object.keys(workers)
      .map((pid, at) => `${pid} worker ${at} 0d00h00m0${at}s\n`)
      .join('')
  const byMaster = (command: string): string => {
    const [, pid, rest] = /^@!(\d+) (.*)$/.exec(command) ?? []
    return pid && rest ? to(pid, rest) : proc()
  }
  const current = (): Say => {
    const [pid = ''] = Object.keys(workers)
    return async (command) => to(pid, command)
  }
  host.ask = async (socket, command) => (socket === adminSocket ? current()(command) : byMaster(command))
  host.asking = async (_socket, talk) => talk(current())
  host.telling = async (_socket, talk) => talk(current())
  host.tell = async (_socket, command) => byMaster(command)
  return { told }
}
