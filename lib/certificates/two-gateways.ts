import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { pairCertificate } from '../site/vip.ts'
import { newKey, signed } from './openssl.ts'
import { type Facts, factsIn, keysIn } from './pair.ts'

/** The certificate by which two gateways know each other, and its key: whoever has this file is one of them. */
export const pairFile = (look: Look): string => `${places(look).certs}/${pairCertificate}`

const days = 3650
/** ms that must be left of its life; with less a new one is made, which the other gateway is then to be given */
const left = 60 * 86_400_000

/** What this machine has of it; undefined where that is none which both could use. */
export async function heldPair(look: Look, now = Date.now()): Promise<(Facts & { text: string }) | undefined> {
  const text = await look.read(pairFile(look))
  const facts = factsIn(text)
  return text !== undefined && facts && keysIn(text).keys.length === 1 && facts.until.getTime() - now > left
    ? { ...facts, text }
    : undefined
}

/** Whether a text is a certificate of ours with its own key. */
export function isPairPem(text: string): boolean {
  const facts = factsIn(text)
  const { keys } = keysIn(text)
  return facts !== undefined && keys.length === 1 && keys.every((key) => facts.leaf.checkPrivateKey(key))
}

/** Makes the certificate that two gateways show each other; it signs no other. Throws `Unfit` where there is no openssl. */
export async function makePair(host: Host): Promise<void> {
  const key = newKey()
  const folder = `${places(host).state}/two-gateways`
  const leaf = await signed(host, {
    ...{ folder, key, days, title: 'remote-ollama-proxy pair' },
    extensions: [
      'basicConstraints = critical,CA:FALSE',
      'keyUsage = critical,digitalSignature',
      'extendedKeyUsage = serverAuth,clientAuth',
      'subjectKeyIdentifier = hash',
    ],
  })
  if (leaf !== undefined) await keepPair(host, `${leaf}\n${key}`)
}

/** Keeps the certificate of the pair, for nobody but this gateway. */
export async function keepPair(host: Host, text: string): Promise<void> {
  await host.folder(places(host).certs)
  await host.write(pairFile(host), text, 0o600)
}
