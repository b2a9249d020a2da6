import { changeEach, readEach } from '../haproxy/workers.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'

/** An address that sent too many wrong keys, and how long each further one from there gets 429. */
export interface Ban {
  address: string
  wrongAMinute: number
  secondsLeft: number
}

/** The addresses that are banned now, by all workers. Throws `Stop`: exit 3 when no gateway answers, 5 when one of its workers does not. */
export async function bans(look: Look): Promise<Ban[]> {
  const tables = await readEach(look, ({ ask }) => ask('show table strangers data.gpt0 gt 0'))
  if (tables.length === 0) throw nobody()
  const found = new Map(tables.flatMap(parseBans).map((ban) => [ban.address, ban]))
  return [...found.values()].sort((one, other) => other.secondsLeft - one.secondsLeft)
}

/** Lets an address in again at once. Throws `Stop`: exit 2 when it is not banned, 5 where it still is in the end. */
export async function unban(host: Host, address: string): Promise<void> {
  if (!(await bans(host)).some((ban) => ban.address === address))
    throw new Stop(
      exitCodes.usage,
      `${JSON.stringify(address.slice(0, 80))} is no banned address; ${called('keys')} bans lists them. Nothing was changed.`,
    )
  const key = address.includes(':') ? address : `::ffff:${address}`
  await changeEach(host, async ({ ask, tell }) => {
    const banned = async () => parseBans(await ask('show table strangers data.gpt0 gt 0')).map((ban) => ban.address)
    if (!(await banned()).includes(address)) return true
    await tell(`set table strangers key ${key} data.gpt0 0 data.gpc0_rate 0`)
    return !(await banned()).includes(address)
  })
}

const nobody = (): Stop =>
  new Stop(exitCodes.precondition, `No gateway answers, so nothing is known of bans; see ${typed('status')}.`)

/** Rows of the table `strangers`, whose keys are IPv6; the time left is in ms. */
export const parseBans = (table: string): Ban[] =>
  table.split('\n').flatMap((line) => {
    const [, key = '', left, rate] = /key=(\S+) .*exp=(\d+) .*gpc0_rate\(\d+\)=(\d+)/.exec(line) ?? []
    const address = key.replace(/^::ffff:(?=\d+\.)/, '')
    return key ? [{ address, wrongAMinute: Number(rate), secondsLeft: Math.ceil(Number(left) / 1000) }] : []
  })
