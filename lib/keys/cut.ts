import type { Host } from '../host.ts'
import { places } from '../places.ts'

/** Ends the running answers of one key, in old workers, too (they keep their streams after a reload). Gives how many. */
export async function cutStreams(host: Host, name: string): Promise<number> {
  const master = places(host.home).masterSocket
  let cut = 0
  for (const pid of workers((await host.ask(master, 'show proc')) ?? '')) {
    const on = (command: string) => `@!${pid} ${command}`
    const peers = peersOf(name, (await host.ask(master, on('show table streams'))) ?? '')
    if (peers.length === 0) continue
    const sessions = (await host.ask(master, on('show sess'))) ?? ''
    for (const session of sessionsOf(peers, sessions)) {
      await host.tell(master, on(`shutdown session ${session}`))
      cut += 1
    }
  }
  return cut
}

/** Pids of all workers, old ones included, as `show proc` lists them. */
export const workers = (text: string): string[] =>
  text.split('\n').flatMap((line) => /^(\d+)\s+worker\b/.exec(line)?.[1] ?? [])

/** The `address:port` of a key's running requests: rows of the table `streams` whose count is not zero. */
export const peersOf = (name: string, table: string): string[] =>
  table.split('\n').flatMap((line) => {
    const [, key = '', count] = /key=(\S+) .*conn_cur=(\d+)/.exec(line) ?? []
    return key.startsWith(`${name}|`) && Number(count) > 0 ? [key.slice(name.length + 1)] : []
  })

/** The pointers of the sessions that come from there, as `show sess` lists them. */
export const sessionsOf = (peers: string[], text: string): string[] =>
  text.split('\n').flatMap((line) => {
    const [, pointer = '', source = ''] = /^(0x[0-9a-f]+): .*?\bsrc=(\S+)/.exec(line) ?? []
    return peers.includes(source) ? [pointer] : []
  })
