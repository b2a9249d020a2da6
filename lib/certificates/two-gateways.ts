import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { pairCertificate } from '../site/vip.ts'
import { heldClientAuthority, keepClientAuthority } from './clients.ts'
import { newKey, signed } from './openssl.ts'
import { heldRoot, keepRoot, type Root } from './own-ca.ts'
import { type Authority, type Facts, factsIn, isAuthority, keysIn } from './pair.ts'

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

/** What two gateways have in common and nobody else may have. */
export interface Secrets {
  /** by which they know each other */
  pair?: string
  /** of own-ca, so that clients need only one */
  root?: Root
  /** of client certificates, so that both let in whom one of them gave one */
  clients?: Authority
}

/** What this machine has of it. */
export const heldSecrets = async (look: Look): Promise<Secrets> => ({
  pair: (await heldPair(look))?.text,
  root: await heldRoot(look),
  clients: await heldClientAuthority(look),
})

/** The one of them that is not what its name says; undefined where all are. */
export function badSecret({ pair, root, clients }: Secrets): keyof Secrets | undefined {
  if (pair !== undefined && !isPairPem(pair)) return 'pair'
  if (root && !isAuthority(root)) return 'root'
  return clients && !isAuthority(clients) ? 'clients' : undefined
}

/** Keeps what is there in the place of what this machine had. */
export async function keepSecrets(host: Host, { pair, root, clients }: Secrets): Promise<void> {
  if (pair !== undefined) await keepPair(host, pair)
  if (root) await keepRoot(host, root)
  if (clients) await keepClientAuthority(host, clients)
}
