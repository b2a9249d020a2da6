import { randomBytes } from 'node:crypto'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'

/** The file with the word by which HAProxy and the observer know requests of test.ts and status.ts; its owner alone can read it, so nobody else goes uncounted. */
export const probesFile = 'probes.lst'

const fileOf = (look: Look): string => `${places(look).keyMaps}/${probesFile}`

/** The word, which stands first in the User-Agent of our own requests; undefined before install.ts has made it, and for who may not read it. */
export const probeWord = async (look: Look): Promise<string | undefined> =>
  (await look.read(fileOf(look)).catch(() => undefined))?.trim() || undefined

/** HAProxy does not start without the files that its configuration names. */
export async function ensureProbeWord(host: Host): Promise<void> {
  if ((await probeWord(host)) !== undefined) return
  await host.write(fileOf(host), `remote-ollama-proxy-test/${randomBytes(16).toString('hex')}\n`)
}

/** In whose place requests that are bytes name themselves. */
export const unnamed = 'User-Agent: hostile'

/** The same machine, whose requests say that they are our own as soon as there is a word for it. */
export const asOwn = <T extends Look>(look: T): T => ({
  ...look,
  async probe(request) {
    const word = await probeWord(look)
    return look.probe(
      word === undefined ? request : { ...request, headers: { 'user-agent': word, ...request.headers } },
    )
  },
  async raw(request) {
    const word = await probeWord(look)
    return look.raw(word === undefined ? request : { ...request, bytes: named(request.bytes, word) })
  },
})

const named = (bytes: Uint8Array, word: string): Uint8Array =>
  Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll(unnamed, `User-Agent: ${word}`), 'latin1')
