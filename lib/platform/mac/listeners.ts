import type { Look } from '../../host/host.ts'
import type { Connection, ListenerFact, Listeners } from '../platform.ts'

/** What lsof's -F output names: a p and a c line a process, then an n line a socket. */
function named(text: string): { pid: number; command: string; name: string }[] {
  let pid = 0
  let command = ''
  return text.split('\n').flatMap((line) => {
    const value = line.slice(1)
    if (line.startsWith('p')) pid = Number(value)
    if (line.startsWith('c')) command = value
    return line.startsWith('n') ? [{ pid, command, name: value }] : []
  })
}

const bare = (text: string): string => text.replace(/:(\d+|\*)$/, '').replace(/^\[|\]$/g, '')
const portOf = (text: string): number => Number(text.split(':').pop())

/** Who listens, as lsof tells it. */
export const parseLsof = (text: string): ListenerFact[] =>
  named(text).map(({ pid, command, name }) => ({ pid, command, address: bare(name), port: portOf(name) }))

/** Reads macOS's netstat (with -l, which alone writes IPv6 addresses in full): `127.0.0.1.11434`, `*.11434`, the state in the last column. */
export function parseNetstat(text: string): ListenerFact[] {
  return text.split('\n').flatMap((line) => {
    const cells = line.trim().split(/\s+/)
    const [, address, port] = /^(.+)\.(\d+)$/.exec(cells[3] ?? '') ?? []
    return cells.at(-1) === 'LISTEN' && address !== undefined ? [{ address, port: Number(port) }] : []
  })
}

/** Those of this user, with their processes. */
const known = async (look: Look, port?: number): Promise<ListenerFact[]> =>
  parseLsof((await look.query(['lsof', '-nP', port ? `-iTCP:${port}` : '-iTCP', '-sTCP:LISTEN', '-Fpcutn'])).stdout)

/** Everybody's, without processes. */
const open = async (look: Look, port?: number): Promise<ListenerFact[]> =>
  parseNetstat((await look.query(['netstat', '-anl', '-p', 'tcp'])).stdout).filter(
    (one) => port === undefined || one.port === port,
  )

const without = (facts: ListenerFact[], others: ListenerFact[]): ListenerFact[] =>
  facts.filter((one) => !others.some(({ address, port }) => address === one.address && port === one.port))

/** Everybody who listens on a port, or on any. Binding proves nothing: on macOS a wildcard and one address coexist. */
async function listening(look: Look, port?: number): Promise<ListenerFact[]> {
  const [all, own] = [await open(look, port), await known(look, port)]
  const unseen = without(all, own)
  if (unseen.length === 0) return own
  // One that began or ended between the two is nobody else's.
  const later = await known(look, port)
  return [...later, ...without(unseen, later)]
}

async function connected(look: Look, port: number): Promise<Connection[]> {
  const { stdout } = await look.query(['lsof', '-nP', `-iTCP:${port}`, '-sTCP:ESTABLISHED', '-Fpcn'])
  return named(stdout).flatMap(({ pid, command, name }) => {
    const [, far] = name.split('->')
    return far !== undefined && portOf(far) === port ? [{ pid, command }] : []
  })
}

export const listeners: Listeners = {
  on: listening,
  everywhere: (look) => listening(look),
  connected,
  typed: (port) => `lsof -nP -iTCP:${port} -sTCP:LISTEN`,
}
