import type { Box, Outcome } from '../../box/box.ts'
import type { Snapshot } from '../../box/snapshot.ts'
import { authority } from '../../lab/certificates.ts'

/** The machine on which combinations are lived through, with a laptop on its tailnet and a neighbour on its LAN. */
export interface Ground extends Pick<Box, 'address' | 'dial' | 'http' | 'mac'> {
  /** its settings file */
  settings: string
  /** home folder of whoever types */
  home: string
  /** runs a root script of that name, as its owner would, to its end */
  script(name: string, ...words: string[]): Promise<Outcome>
  run(argv: string[]): Promise<Outcome>
  /** writes a file for its owner alone */
  write(path: string, text: string): unknown
  /** all that a person would miss or find changed */
  everything(): Snapshot | Promise<Snapshot>
  close(): Promise<void>
}

/** Two models whose files are of one second, as in a folder that was copied. */
export const models = ['qwen3:0.6b', 'tiny-loop']

/** Whoever takes alerts: one that reaches nobody is a miss. */
export const taker =
  "require('http').createServer((asked, answer) => asked.resume() && answer.end()).listen(9999, '127.0.0.1')"

/** What is behind services: a page, and JSON where programs ask. */
export const served =
  "require('http').createServer((asked, answer) => asked.resume() && answer.setHeader('content-type', /^.(v1|health|collections)/.test(asked.url) ? 'application/json' : 'text/html').end('{}')).listen(18080, '127.0.0.1')"

/** Certificates that are the owner's own files, those that Tailscale has, and what nodes are named with. */
export async function placeFiles(ground: Pick<Ground, 'home' | 'mac' | 'write'>): Promise<void> {
  const ca = authority('an authority of the matrix')
  const { cert, key } = ca.server('*.example.net')
  await ground.write(`${ground.home}/tls/chain.pem`, cert)
  await ground.write(`${ground.home}/tls/key.pem`, key)
  const own = ca.server('studio.tail0lab.ts.net')
  ground.mac(({ tailscale }) => {
    tailscale.certificates = [{ chain: own.cert, key: own.key }]
  })
  const nodes = authority('an authority of nodes')
  for (const name of ['asleep', 'other']) await ground.write(`${ground.home}/nodes/${name}.key`, `key-of-${name}\n`)
  for (const name of ['root', 'other']) await ground.write(`${ground.home}/nodes/${name}.pem`, nodes.cert)
}
