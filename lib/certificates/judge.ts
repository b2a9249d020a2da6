import type { KeyObject, X509Certificate } from 'node:crypto'
import { domainToASCII } from 'node:url'
import { exitCodes, Stop } from '../host/command.ts'
import { certificatesIn, type Facts, factsOf, keysIn, type Pair, textOf } from './pair.ts'

/** Why a certificate is not served, in one sentence. */
export class Unfit extends Stop {
  constructor(message: string) {
    super(exitCodes.failed, message)
  }
}

/** What it is to be fit for. */
export interface Purpose {
  /** the name that clients ask for, or a wildcard */
  name: string
  /** where it came from, in words */
  source: string
  /** the one that is in use: what was issued before it is not taken again */
  held?: Facts
  now?: Date
}

/** A name as it stands in certificates and on the wire: small letters, and others as punycode. */
export const wireName = (name: string): string =>
  name.startsWith('*.') ? `*.${domainToASCII(name.slice(2))}` : domainToASCII(name)

/** A name that a client could ask for where a wildcard is meant. */
export const anyName = (name: string): string => wireName(name).replace(/^\*/, 'any')

/**
 * Takes what a source gave for a name apart and gives it as it is to be served. HAProxy itself refuses only broken PEM and a
 * key that does not fit; it serves what has expired, or is for another name, and says "Success!" (seen with 2.6 and 3.4).
 * Throws `Unfit`.
 */
export function judge(pem: string, purpose: Purpose): Pair {
  const certificates = certificatesIn(pem)
  const not = (seen: string, todo: string) =>
    new Unfit(`The certificate for ${purpose.name} (${purpose.source}) was not taken: ${seen}; ${todo}.`)
  if (certificates.length === 0)
    throw not(
      'there is no certificate in it that can be read',
      'give it in PEM form, which begins with -----BEGIN CERTIFICATE-----',
    )
  const { chain, key } = inOrder(certificates, keyOf(pem, not), not)
  const [leaf] = chain as [X509Certificate]
  const facts = factsOf(leaf)
  const fault = faultOf(facts, key, purpose)
  if (fault) throw not(...fault)
  return { ...facts, text: textOf(chain, key) }
}

type Fault = [seen: string, todo: string]
type Not = (...fault: Fault) => Unfit

function keyOf(pem: string, not: Not): KeyObject[] {
  const { keys, locked } = keysIn(pem)
  if (keys.length > 0) return keys
  throw locked
    ? not(
        'its key needs a password, which nobody types when the gateway starts',
        'write it without one: openssl pkey -in KEY -out PLAIN',
      )
    : not('there is no private key with it', 'give the key that it was issued for, in PEM form')
}

/** The chain from the certificate of the key on, each before the one that issued it. */
function inOrder(chain: X509Certificate[], keys: KeyObject[], not: Not): { chain: X509Certificate[]; key: KeyObject } {
  const key = keys.find((one) => chain[0]?.checkPrivateKey(one))
  if (!key) {
    const at = chain.findIndex((one) => keys.some((other) => one.checkPrivateKey(other)))
    throw at < 0
      ? not('its key is the key of another certificate', 'give the one that it was issued for')
      : not(
          `its chain is in the wrong order: the certificate of the key comes as number ${at + 1}`,
          'put it first, and behind each one the one that issued it',
        )
  }
  const broken = chain.findIndex((one, at) => at > 0 && !chain[at - 1]?.checkIssued(one))
  if (broken > 0)
    throw not(
      `its chain is in the wrong order: number ${broken + 1} (${called(chain[broken])}) did not issue number ${broken}`,
      'put behind each certificate the one that issued it, and nothing else',
    )
  return { chain, key }
}

const called = (certificate?: X509Certificate): string => certificate?.subject?.split('\n').at(-1) ?? 'without a name'

function faultOf(facts: Facts, key: KeyObject, { name, held, now = new Date() }: Purpose): Fault | undefined {
  const { leaf, from, until, names } = facts
  const said = (time: Date) => `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
  if (until <= now) return [`it expired on ${said(until)}`, 'get a new one']
  if (from > now)
    return [
      `it is not valid before ${said(from)}, and here it is ${said(now)}`,
      'wait until then, or set the clock right',
    ]
  if (!covers(facts, name))
    return [`it is for ${names.join(', ') || 'no name at all'}`, `get one for ${wireName(name)}`]
  // Extended key usage: id-kp-serverAuth (RFC 5280, 4.2.1.12); the type calls what Node gives by that name something else.
  const uses = leaf.keyUsage as string[] | undefined
  if (uses && !uses.includes('1.3.6.1.5.5.7.3.1'))
    return ['it is not meant for servers (serverAuth is not among its uses)', 'get one that is']
  const bits = key.asymmetricKeyType === 'rsa' ? key.asymmetricKeyDetails?.modulusLength : undefined
  if (bits !== undefined && bits < 2048)
    return [`its key has ${bits} bits, which no client takes any more`, 'get one with a key of 2048 bits or more']
  if (held && facts.serial !== held.serial && isOlder(facts, held))
    return [
      `it was issued on ${said(from)}, before the one in use (${said(held.from)})`,
      'give a newer one, or remove the one in use first',
    ]
  return undefined
}

/** Authorities date back what they issue, by an hour at most as a rule, so another's may seem older than it is. */
const backdated = 3_600_000

const isOlder = (one: Facts, other: Facts): boolean =>
  one.from.getTime() < other.from.getTime() - (one.leaf.issuer === other.leaf.issuer ? 0 : backdated)

/** Whether a certificate is for a name; a wildcard is for one label, and asked for as it is written. */
export function covers({ leaf, names }: Pick<Facts, 'leaf' | 'names'>, name: string): boolean {
  const wanted = wireName(name)
  if (wanted.startsWith('*.')) return names.includes(wanted)
  return leaf.checkHost(wanted, { subject: 'never', partialWildcards: false }) !== undefined
}
