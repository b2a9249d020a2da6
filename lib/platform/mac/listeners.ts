import type { Look } from '../../host/host.ts'
import type { ListenerFact, Listeners } from '../platform.ts'

/** Reads lsof's -F output: a p and a c line a process, then an n line a socket. */
export function parseLsof(text: string): ListenerFact[] {
  let pid = 0
  let command = ''
  return text.split('\n').flatMap((line) => {
    const value = line.slice(1)
    if (line.startsWith('p')) pid = Number(value)
    if (line.startsWith('c')) command = value
    if (!line.startsWith('n')) return []
    return [{ pid, command, address: value.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') }]
  })
}

/** Reads macOS's netstat (with -l, which alone writes IPv6 addresses in full): `127.0.0.1.11434`, `*.11434`, the state in the last column. */
export function parseNetstat(text: string, port: number): ListenerFact[] {
  return text.split('\n').flatMap((line) => {
    const cells = line.trim().split(/\s+/)
    const local = cells[3] ?? ''
    if (cells.at(-1) !== 'LISTEN' || !local.endsWith(`.${port}`)) return []
    return [{ address: local.slice(0, -`${port}`.length - 1) }]
  })
}

/** Everybody who listens on a port, on any address. Binding proves nothing: on macOS a wildcard and one address coexist. */
async function on(look: Look, port: number): Promise<ListenerFact[]> {
  const lsof = await look.query(['lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpcutn'])
  const netstat = await look.query(['netstat', '-anl', '-p', 'tcp'])
  const own = parseLsof(lsof.stdout)
  const foreign = parseNetstat(netstat.stdout, port).filter(
    ({ address }) => !own.some((fact) => fact.address === address),
  )
  return [...own, ...foreign]
}

export const listeners: Listeners = {
  on,
  typed: (port) => `lsof -nP -iTCP:${port} -sTCP:LISTEN`,
}
