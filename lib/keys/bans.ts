import { exitCodes, Stop } from '../command.ts'
import type { Host, Look } from '../host.ts'
import { places } from '../places.ts'
import { workersOf } from '../proxy/workers.ts'

/** An address that sent too many wrong keys, and how long each further one from there gets 429. */
export interface Ban {
  address: string
  wrongAMinute: number
  secondsLeft: number
}

/** The addresses that are banned now, by all workers. Throws `Stop` (exit 3) when no gateway answers. */
export async function bans(look: Look): Promise<Ban[]> {
  const found = new Map<string, Ban>()
  for (const pid of await pids(look)) {
    const table = (await look.ask(master(look), `@!${pid} show table strangers data.gpt0 gt 0`)) ?? ''
    for (const ban of parseBans(table)) found.set(ban.address, ban)
  }
  return [...found.values()].sort((one, other) => other.secondsLeft - one.secondsLeft)
}

/** Lets an address in again at once. Throws `Stop` (exit 2) when it is not banned. */
export async function unban(host: Host, address: string): Promise<void> {
  if (!(await bans(host)).some((ban) => ban.address === address))
    throw new Stop(
      exitCodes.usage,
      `${JSON.stringify(address.slice(0, 80))} is no banned address; keys.ts bans lists them. Nothing was changed.`,
    )
  const key = address.includes(':') ? address : `::ffff:${address}`
  for (const pid of await pids(host))
    await host.tell(master(host), `@!${pid} set table strangers key ${key} data.gpt0 0 data.gpc0_rate 0`)
}

const master = (look: Look): string => places(look.home).masterSocket

async function pids(look: Look): Promise<string[]> {
  const found = await workersOf(look)
  if (found.length > 0) return found
  throw new Stop(exitCodes.precondition, 'No gateway answers, so nothing is known of bans; see npx tsx status.ts.')
}

/** Rows of the table `strangers`, whose keys are IPv6; the time left is in ms. */
export const parseBans = (table: string): Ban[] =>
  table.split('\n').flatMap((line) => {
    const [, key = '', left, rate] = /key=(\S+) .*exp=(\d+) .*gpc0_rate\(\d+\)=(\d+)/.exec(line) ?? []
    const address = key.replace(/^::ffff:(?=\d+\.)/, '')
    return key ? [{ address, wrongAMinute: Number(rate), secondsLeft: Math.ceil(Number(left) / 1000) }] : []
  })
