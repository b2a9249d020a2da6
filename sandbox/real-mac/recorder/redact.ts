import { isIPv6 } from 'node:net'

/** What only this Mac has: it stands nowhere in what is recorded. */
export interface Own {
  /** account, full name, computer's names, tailnet: as they are spelled here */
  names: string[]
  home: string
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** A name as a word of its own: `ada` is not taken out of `adapter`. */
const word = (name: string): RegExp => new RegExp(`(?<![\\p{L}\\p{N}])${escaped(name)}(?![\\p{L}\\p{N}])`, 'giu')

/** A name as a whole, and its parts where they are more than a syllable or a word that every output has. */
function spellings(names: string[]): string[] {
  const whole = names.map((name) => name.trim()).filter((name) => name !== '' && name !== 'localhost')
  const parts = whole.flatMap((name) => name.split(/[\s.@-]+/)).filter((part) => part.length > 2)
  const telling = parts.filter((part) => !common.has(part.toLowerCase()))
  return [...new Set([...whole, ...telling])].sort((a, b) => b.length - a.length)
}

/** Parts of names that say nothing about anybody, and stand in every output. */
const common = new Set(['mac', 'local', 'localhost', 'macbook', 'studio', 'mini', 'pro', 'air', 'the', 'net', 'com'])

/** Each kind of thing that tells who or where; the first that matches takes it. */
const kinds: [RegExp, string][] = [
  [/\b(tskey|hskey|rop|sk|ghp|gho|github_pat|hf|xox[abp])[-_][A-Za-z0-9_-]{8,}/g, 'KEY'],
  [/\b(node|machine|mach|disco|priv|nl)key:[0-9a-f]+/gi, 'KEY'],
  [/-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)/g, 'KEY'],
  [/\b(ssh-(rsa|ed25519)|ecdsa-sha2-\S+) [A-Za-z0-9+/=]+/g, 'KEY'],
  [/[\w.+-]+@[\w-]+(\.[\w-]+)+/g, 'MAIL'],
  [/\b[\w-]+(\.[\w-]+)*\.(ts\.net|local|lan|home|internal|fritz\.box)\b(?!\.\w)/gi, 'HOST'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, 'UUID'],
  [/\b([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}\b/gi, 'MAC'],
  [/\/Users\/(?!me\b|Shared\b)[^\s/:"',]+/g, '/Users/me'],
  [/\/var\/folders\/\w+\/\w+/g, '/var/folders/xx/yy'],
  [/\b[A-Za-z0-9+/]{40,}={0,2}/g, 'LONG'],
]

/** Loopback, no address and netmasks tell nothing; 100.64/10 stays recognizable as the tailnet's. */
function plainAddress(address: string): string {
  if (/^(127\.|0\.0\.0\.0$|255\.)/.test(address)) return address
  return /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(address) ? '100.64.0.1' : '192.0.2.1'
}

function plainAddress6(text: string): string {
  const [address = '', zone] = text.split('%')
  if (!isIPv6(address) || address === '::' || /^(::1|fe80::1)$/.test(address)) return text
  const rest = zone === undefined ? '' : `%${zone}`
  if (/^fe80:/i.test(address)) return `fe80::2${rest}`
  return /^fd7a:115c:a1e0:/i.test(address) ? 'fd7a:115c:a1e0::1' : '2001:db8::1'
}

/** A text without this Mac's names, addresses, keys and folders: each is replaced by a word or address that tells its kind. */
export function redact(text: string, own: Own): string {
  let said = own.home.length > 1 ? text.replaceAll(own.home, '/Users/me') : text
  for (const [kind, by] of kinds) said = said.replace(kind, by)
  said = said.replace(/(?<![\d.])\d{1,3}(\.\d{1,3}){3}/g, plainAddress)
  said = said.replace(/[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*(%\w+)?/gi, plainAddress6)
  for (const name of spellings(own.names)) said = said.replace(word(name), 'NAME')
  return said
}

/** Every text within a value, redacted; names of properties are ours. */
export function redactAll<T>(value: T, own: Own): T {
  const inner = (one: unknown): unknown => {
    if (typeof one === 'string') return redact(one, own)
    if (Array.isArray(one)) return one.map(inner)
    if (one === null || typeof one !== 'object') return one
    return Object.fromEntries(Object.entries(one).map(([key, part]) => [key, inner(part)]))
  }
  return inner(value) as T
}
