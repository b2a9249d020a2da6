import type { Look } from '../../host/host.ts'
import type { Connection, ListenerFact, Listeners } from '../platform.ts'

/** The processes in `users:(("haproxy",pid=12,fd=5),("haproxy",pid=13,fd=5))`. */
const users = (text: string): Connection[] =>
  [...text.matchAll(/\("([^"]*)",pid=(\d+),/g)].map(([, command = '', pid]) => ({ command, pid: Number(pid) }))

/** `0.0.0.0` and `[::]` are every address, as `*` is; a scope is none of its digits. */
function bare(text: string): string {
  const address = text.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  return address === '0.0.0.0' || address === '::' ? '*' : address
}

/** Reads `ss -Hltnp`: state, queues, local address, far address, users. A listener of another user has none. */
export function parseSs(text: string): ListenerFact[] {
  return text.split('\n').flatMap((line) => {
    const cells = line.trim().split(/\s+/)
    const [, address, port] = /^(.*):(\d+)$/.exec(cells[3] ?? '') ?? []
    if (address === undefined) return []
    const at = { address: bare(address), port: Number(port) }
    const found = users(line)
    return found.length === 0 ? [at] : found.map((user) => ({ ...at, ...user }))
  })
}

/** One fact a process, though it may hold a listener twice. */
const once = (facts: ListenerFact[]): ListenerFact[] => [
  ...new Map(facts.map((one) => [`${one.address} ${one.port} ${one.pid}`, one])).values(),
]

const listening = async (look: Look, filter: string[] = []): Promise<ListenerFact[]> =>
  once(parseSs((await look.query(['ss', '-Hltnp', ...filter])).stdout))

export const listeners: Listeners = {
  on: (look, port) => listening(look, [`sport = :${port}`]),
  everywhere: (look) => listening(look),
  async connected(look, port) {
    const { stdout } = await look.query(['ss', '-Htnp', 'state', 'established', `dport = :${port}`])
    return stdout.split('\n').flatMap(users)
  },
  typed: (port) => `ss -ltnp 'sport = :${port}'`,
}
