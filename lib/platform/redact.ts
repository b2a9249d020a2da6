import { isIP } from 'node:net'

/** What only this machine has: it stands nowhere in what is given away. */
export interface Own {
  /** account, full name, computer's names, tailnet: as they are spelled here */
  names: string[]
  home: string
  /** texts that let somebody in, such as a webhook's address */
  secrets?: string[]
  /** what was replaced by what: with it each name and address keeps a number of its own, so that one can tell them apart */
  known?: Map<string, string>
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Names, the longest first, as words of their own: `ada` is not taken out of `adapter`, nor anything out of what stands for one. */
const word = (names: string[]): RegExp =>
  new RegExp(`(?<![\\p{L}\\p{N}])(${names.map(escaped).join('|')})(?![\\p{L}\\p{N}])`, 'giu')

/** A name as a whole, and its parts where they are more than a syllable or a word that every output has. */
function spellings(names: string[]): string[] {
  const whole = names.map((name) => name.trim()).filter((name) => name !== '' && name !== 'localhost')
  const parts = whole.flatMap((name) => name.split(/[\s.@-]+/)).filter((part) => part.length > 2)
  const telling = parts.filter((part) => !common.has(part.toLowerCase()))
  return [...new Set([...whole, ...telling])].sort((a, b) => b.length - a.length)
}

/** Parts of names that say nothing about anybody, and stand in every output. */
const common = new Set(
  `mac local localhost macbook studio mini pro air the net com home work server proxy gateway backend engine model models
   default node user users test example main web api key keys log status ollama haproxy tailscale`.split(/\s+/),
)

/** Each kind of thing that tells who or where; the first that matches takes it. */
const kinds: [RegExp, string][] = [
  [/\b(tskey|hskey|rop|sk|ghp|gho|github_pat|hf|xox[abp])[-_][A-Za-z0-9_-]{8,}/g, 'KEY'],
  [/\b(node|machine|mach|disco|priv|nl)key:[0-9a-f]+/gi, 'KEY'],
  [/-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)/g, 'KEY'],
  [/\b(ssh-(rsa|ed25519)|ecdsa-sha2-\S+) [A-Za-z0-9+/=]+/g, 'KEY'],
  [/[\w.+-]+@(?!\d)[\w-]+(\.[\w-]+)*/g, 'MAIL'],
  [/\b[\w-]+(\.[\w-]+)*\.(ts\.net|local|lan|home|internal|fritz\.box)\b(?!\.\w)/gi, 'HOST'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, 'UUID'],
  [/\b([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}\b/gi, 'MAC'],
  [/\/Users\/(?!me\b|Shared\b)[^\s/:"',]+/g, '/Users/me'],
  [/\/Volumes\/(?!Macintosh)[^/\n"',<]+/g, '/Volumes/disk'],
  [/\/var\/folders\/\w+\/\w+/g, '/var/folders/xx/yy'],
  [/\b[A-Za-z0-9+/]{40,}={0,2}/g, 'LONG'],
]

/** The word that stands for something: the same one each time, and where they are counted with a number of its own. */
function standIn(own: Own, what: string, first: string, more: (number: number) => string): string {
  if (!own.known) return first
  const kind = `${first} ${what.toLowerCase()}`
  const before = [...own.known.keys()].filter((key) => key.startsWith(`${first} `)).length
  const word = own.known.get(kind) ?? more(before + 1)
  own.known.set(kind, word)
  return word
}

/** Loopback, no address and netmasks tell nothing; 100.64/10 stays recognizable as the tailnet's. */
function plainAddress(own: Own, address: string): string {
  if (/^(127\.|0\.0\.0\.0$|255\.)/.test(address)) return address
  const tailnet = /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(address)
  const net = tailnet ? '100.64.0' : '192.0.2'
  return standIn(own, address, `${net}.1`, (number) => `${net}.${Math.min(number, 254)}`)
}

function plainAddress6(own: Own, text: string): string {
  const [address = '', zone] = text.split('%')
  if (isIP(address) !== 6 || address === '::' || /^(::1|fe80::1)$/.test(address)) return text
  const rest = zone === undefined ? '' : `%${zone}`
  if (/^fe80:/i.test(address)) return `fe80::2${rest}`
  const net = /^fd7a:115c:a1e0:/i.test(address) ? 'fd7a:115c:a1e0::' : '2001:db8::'
  return standIn(own, address, `${net}1`, (number) => `${net}${number.toString(16)}`)
}

/** A text without this machine's names, addresses, keys and folders: each is replaced by a word or address that tells its kind. */
export function redact(text: string, own: Own): string {
  let said = text
  for (const secret of own.secrets ?? []) said = said.replaceAll(secret, 'SECRET')
  if (own.home.length > 1) said = said.replaceAll(own.home, '/Users/me')
  for (const [kind, by] of kinds) said = said.replace(kind, by)
  said = said.replace(/(?<![\d.])\d{1,3}(\.\d{1,3}){3}/g, (address) => plainAddress(own, address))
  said = said.replace(/[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*(%\w+)?/gi, (address) => plainAddress6(own, address))
  const names = spellings(own.names)
  if (names.length === 0) return said
  return said.replace(word(names), (name) => standIn(own, name, 'NAME', (number) => `NAME${number}`))
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
