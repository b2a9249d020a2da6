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

/** Everybody who listens on a port, or on any. Binding proves nothing: on macOS a wildcard and one address coexist. */
async function listening(look: Look, port?: number): Promise<ListenerFact[]> {
  const lsof = await look.query(['lsof', '-nP', port ? `-iTCP:${port}` : '-iTCP', '-sTCP:LISTEN', '-Fpcutn'])
  const netstat = await look.query(['netstat', '-anl', '-p', 'tcp'])
  const own = parseLsof(lsof.stdout)
  const foreign = parseNetstat(netstat.stdout).filter(
    (one) =>
      (port === undefined || one.port === port) &&
      !own.some((fact) => fact.address === one.address && fact.port === one.port),
  )
  return [...own, ...foreign]
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
