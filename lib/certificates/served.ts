import { isIP } from 'node:net'
import { runningIpv6, withoutIpv6 } from '../haproxy/ipv6.ts'
import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { hasAddress } from '../site/here.ts'
import { pemName } from '../site/tls.ts'
import { pairCertificate } from '../site/vip.ts'
import { anyName } from './judge.ts'
import { type Facts, factsIn } from './pair.ts'

/** Where the gateway speaks TLS. */
export interface Door {
  address: string
  port: number
}

export const written = ({ address, port }: Door): string =>
  isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`

/** The file that holds the certificate of a name, as HAProxy knows it, too. */
export const pemFile = (look: Look, name: string): string => `${places(look).certs}/${pemName(name)}`

/** What is kept for a name; undefined where there is no file, or none that is a certificate. */
export const heldFor = async (look: Look, name: string): Promise<Facts | undefined> =>
  factsIn(await look.read(pemFile(look, name)))

interface Bound {
  door: Door
  /** whether the other gateway of a pair has the address now */
  elsewhere: boolean
  /** the file with the names that are known there */
  list: string
}

async function bound(look: Look): Promise<Bound[]> {
  const { config, adminSocket } = places(look)
  if (!(await look.ask(adminSocket, 'show info'))) return []
  const text = (await look.read(config)) ?? ''
  const lines = (await runningIpv6(look)) === 'off' ? withoutIpv6(text) : text
  const binds = [
    ...lines.matchAll(/^\s+bind \[?([\da-f.:]+?)\]?:(\d+) (?:.* )?ssl(?!\S)(?: crt-list ((?:\\.|\S)+))?.*$/gm),
  ].filter(([line]) => !line.includes(`/${pairCertificate} `))
  return Promise.all(
    binds.map(async ([line, address = '', port, list = '']) => ({
      door: { address, port: Number(port) },
      elsewhere: line.endsWith(' transparent') && !(await hasAddress(look, address)),
      list: list.replaceAll('\\ ', ' '),
    })),
  )
}

/** Where the gateway that runs listens with TLS; nowhere while none runs. The other one of a pair comes by a door of its own, which knows no name. */
export const doors = async (look: Look): Promise<Door[]> => (await bound(look)).map(({ door }) => door)

/** The same, but for doors that are not told of a name which others have: that of a service is hidden at a public one. */
async function doorsFor(look: Look, name: string): Promise<Bound[]> {
  const all = await bound(look)
  const lists = await Promise.all(all.map(({ list }) => (list ? look.read(list) : undefined)))
  const knows = (text?: string) => text === undefined || text.split('\n').some((line) => line.endsWith(` ${name}`))
  const knowing = all.filter((_, at) => knows(lists[at]))
  return knowing.length > 0 ? knowing : all
}

/** Why a door showed none, by the code of Node's error. */
const reasons: [code: RegExp, why: string][] = [
  [/REFUSED/, 'nobody answers'],
  [/RESET|EPIPE/, 'it hangs up'],
  [/UNRECOGNIZED_NAME/, 'it does not know the name'],
  [/no answer|TIMEDOUT/, 'it does not answer in time'],
]

const reasonOf = (error: string): string => reasons.find(([code]) => code.test(error))?.[1] ?? 'no handshake'

/** What a door shows for a name: the certificate, or why there is none. */
export interface Shown {
  door: Door
  facts?: Facts
  why?: string
  /** it was not asked: whoever answers there now is the other gateway of a pair */
  elsewhere?: true
}

/** Asks every door that has a name for it. */
export const shownFor = async (look: Look, name: string): Promise<Shown[]> =>
  Promise.all(
    (await doorsFor(look, name)).map(async ({ door, elsewhere }): Promise<Shown> => {
      if (elsewhere) return { door, elsewhere: true }
      const { certificate, error } = await look.greet({ ...door, name: anyName(name) })
      const facts = factsIn(certificate)
      return facts ? { door, facts } : { door, why: error === undefined ? 'no certificate' : reasonOf(error) }
    }),
  )
