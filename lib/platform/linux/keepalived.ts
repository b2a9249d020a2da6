import { isIP } from 'node:net'
import { z } from 'zod'
import { json } from '../../host/command.ts'
import type { Look } from '../../host/host.ts'
import type { VirtualRouter } from '../platform.ts'

const unit = 'remote-ollama-proxy-vip.service'

const neighbours = z.array(z.object({ dst: z.string(), lladdr: z.string().optional(), state: z.array(z.string()) }))

/** The kernel writes an address of IPv6 as RFC 5952 has it; whoever wrote the settings may not have. */
const spelt = (address: string): string => (isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname : address)

/** Reads `ip -j neigh`: whose hardware address was last heard for an address, and has not failed since. */
export function parseNeighbour(text: string, address: string): string | undefined {
  const { data = [] } = neighbours.safeParse(json(text))
  const found = data.find(({ dst, state }) => spelt(dst) === spelt(address) && !state.includes('FAILED'))
  return found?.lladdr
}

/** A port that nobody listens on: the answer that it is closed shows that somebody is there, and so does the question before it, of the card. */
const nobodysPort = 9
const asUrl = (address: string): string => `http://${address.includes(':') ? `[${address}]` : address}:${nobodysPort}/`

/** Asks an address, from one of ours where it is told; the code is curl's: 28 where nothing came back. */
const asked = (look: Look, address: string, from: string): Promise<number> =>
  look
    .query(['curl', '-s', '-m', '1', '--noproxy', '*', '--interface', from, '-o', '/dev/null', asUrl(address)])
    .then(({ code }) => code)

/** Its words of the last ten minutes, or the last of a kind; journald keeps what a unit prints. */
const journal = async (look: Look, ...options: string[]): Promise<string> =>
  (await look.query(['journalctl', '-q', '-u', unit, '-o', 'short-unix', '--no-pager', ...options])).stdout

/** Keepalived, by one unit and one file of ours; its own unit and /etc/keepalived are its owner's. */
export const virtualRouter: VirtualRouter = {
  unit,
  package: 'keepalived',
  program: ['/usr/sbin/keepalived', 'keepalived'],
  async since(look) {
    const text = await journal(look, '-r', '-n', '1', '-g', 'Entering (MASTER|BACKUP|FAULT) STATE')
    const seconds = Number.parseFloat(text)
    return Number.isFinite(seconds) ? seconds * 1000 : undefined
  },
  async strangers(look) {
    const text = await journal(look, '--since', '-10min', '-g', 'not a unicast peer')
    return [
      ...new Set(
        [...text.matchAll(/unicast source address (\S+) not a unicast peer/g)].map(([, address = '']) => address),
      ),
    ]
  },
  async neighbour(look, card, address) {
    await asked(look, address, card)
    return parseNeighbour((await look.query(['ip', '-j', 'neigh', 'show', 'dev', card])).stdout, address)
  },
  answersTo: async (look, own, address) => (await asked(look, address, own)) !== 28,
  async yields(host) {
    // The last word of the old process is that it has the address no more; the new one waits before it takes any.
    await host.run(['systemctl', 'restart', unit])
  },
}
