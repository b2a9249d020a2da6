import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'

/** From when until when something is valid. */
export interface Life {
  from: Date
  until: Date
}

/** What a certificate says of itself. */
export interface Facts extends Life {
  leaf: X509Certificate
  serial: string
  /** the names that it is for; a wildcard as it stands there */
  names: string[]
}

/** A certificate with its chain and its key, as it is to be served. */
export interface Pair extends Facts {
  /** one PEM: the chain, the certificate of the key first, then the key; no empty line, no text around */
  text: string
}

/** Who signs certificates; whoever has both, as PEM, may sign them. */
export interface Authority {
  certificate: string
  key: string
}

/** Whether it is one, with its own key. */
export function isAuthority({ certificate, key }: Authority): boolean {
  const facts = factsIn(certificate)
  const { keys } = keysIn(key)
  return facts?.leaf.ca === true && keys.length === 1 && keys.every((one) => facts.leaf.checkPrivateKey(one))
}

/** The same number has zeros in front here and none there. */
export const sameSerial = (text: string): string =>
  text
    .replace(/[:\s]/g, '')
    .toUpperCase()
    .replace(/^0+(?=.)/, '')

export const factsOf = (leaf: X509Certificate): Facts => ({
  leaf,
  serial: sameSerial(leaf.serialNumber),
  names: [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name.toLowerCase()),
  from: new Date(leaf.validFrom),
  until: new Date(leaf.validTo),
})

/** The facts of a PEM of one certificate; undefined where it is none. */
export function factsIn(pem: string | undefined): Facts | undefined {
  const [first] = certificatesIn(pem ?? '')
  return first && factsOf(first)
}

/** How much of its life is over, from 0 to 1 (more once it has expired). */
export const lived = ({ from, until }: Life, now: number): number =>
  (now - from.getTime()) / (until.getTime() - from.getTime())

/** Whether it is to be renewed: a third of its life is left, whatever its length. */
export const isDue = (facts: Life, now = Date.now()): boolean => lived(facts, now) >= 2 / 3

const block = (what: string) => new RegExp(`-----BEGIN ${what}-----[\\s\\S]+?-----END ${what}-----`, 'g')

/** Its certificates, whatever stands around them; nothing where one of them cannot be read. */
export const certificatesIn = (pem: string): X509Certificate[] => {
  try {
    return blocks(pem, '(?:TRUSTED |X509 )?CERTIFICATE').map((text) => new X509Certificate(text))
  } catch {
    return []
  }
}

const blocks = (pem: string, what: string): string[] => pem.replaceAll(/\r\n?/g, '\n').match(block(what)) ?? []

/** Its keys; `locked` where one needs a password. */
export function keysIn(pem: string): { keys: KeyObject[]; locked: boolean } {
  const texts = blocks(pem, '[A-Z ]*PRIVATE KEY')
  const keys = texts.flatMap((text) => {
    try {
      return [createPrivateKey(text)]
    } catch {
      return []
    }
  })
  return { keys, locked: texts.some((text) => text.includes('ENCRYPTED')) }
}

/** The one text of a chain and a key. */
export const textOf = (chain: X509Certificate[], key: KeyObject): string =>
  [...chain.map((one) => `${one}`), `${key.export({ type: 'pkcs8', format: 'pem' })}`]
    .map((text) => text.trim())
    .join('\n')
    .concat('\n')
