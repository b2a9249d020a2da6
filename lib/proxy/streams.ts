import type { Host, Look } from '../host.ts'
import { places } from '../places.ts'

/** A request to a model that is under way: with which worker, whose, from which `address:port`, and for which model where that is known. */
export interface RunningStream {
  worker: string
  who: string
  source: string
  model?: string
}

const on = (worker: string, command: string): string => `@!${worker} ${command}`

/** Everything that is under way, in old workers, too: they keep their streams after a reload. */
export async function runningStreams(look: Look): Promise<RunningStream[]> {
  const master = places(look.home).masterSocket
  const found: RunningStream[] = []
  for (const worker of workers((await look.ask(master, 'show proc')) ?? ''))
    found.push(...streamsOf(worker, (await look.ask(master, on(worker, 'show table streams'))) ?? ''))
  return found
}

/** Ends these streams, and no others. Gives how many. */
export async function shutStreams(host: Host, streams: RunningStream[]): Promise<number> {
  const master = places(host.home).masterSocket
  let cut = 0
  for (const worker of new Set(streams.map((stream) => stream.worker))) {
    const sources = streams.filter((stream) => stream.worker === worker).map(({ source }) => source)
    for (const session of sessionsOf(sources, (await host.ask(master, on(worker, 'show sess'))) ?? '')) {
      await host.tell(master, on(worker, `shutdown session ${session}`))
      cut += 1
    }
  }
  return cut
}

/** Pids of all workers, old ones included, as `show proc` lists them. */
export const workers = (text: string): string[] =>
  text.split('\n').flatMap((line) => /^(\d+)\s+worker\b/.exec(line)?.[1] ?? [])

/** The rows of the table `streams` whose count is not zero: `who|address:port|model`. */
export const streamsOf = (worker: string, table: string): RunningStream[] =>
  table.split('\n').flatMap((line) => {
    const [, key = '', count] = /key=(\S+) .*conn_cur=(\d+)/.exec(line) ?? []
    const [who = '', source = '', model] = key.split('|')
    return Number(count) > 0 ? [{ worker, who, source, ...(model ? { model } : {}) }] : []
  })

/** The pointers of the sessions that come from there, as `show sess` lists them. */
export const sessionsOf = (sources: string[], text: string): string[] =>
  text.split('\n').flatMap((line) => {
    const [, pointer = '', source = ''] = /^(0x[0-9a-f]+): .*?\bsrc=(\S+)/.exec(line) ?? []
    return sources.includes(source) ? [pointer] : []
  })
