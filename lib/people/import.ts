import { exitCodes, Stop } from '../host/command.ts'
import { called } from '../host/typed.ts'
import { type Entry, noKeys, type Registry } from '../site/limits.ts'
import { type Directive, nginxDirectives } from '../site/nginx-words.ts'
import { hashKey } from './key.ts'
import { parseRegistry } from './registry.ts'

/** A line, or several, that brought no key, and why. */
export interface Left {
  line: string
  why: string
  /** somebody who was let in there may be missing here */
  lost: boolean
}

export interface Imported {
  registry: Registry
  left: Left[]
}

/**
 * Reads an export of ours, the .env of a stack with LiteLLM, or the keys of an nginx gateway: a `map` of `Authorization` or `X-API-Key`, or the lines
 * inside one. Only keys that it lets in for sure are taken, hashed and named imported-N beside those that are `known`;
 * every other line is told. Throws `Stop` (exit 2) when no key is left.
 */
export function readImport(text: string, file: string, known: Registry = noKeys, now = new Date()): Imported {
  if (text.trimStart().startsWith('{')) return { registry: parseRegistry(text, file), left: [] }
  const ofStack = stackKey(text)
  if (ofStack !== undefined) return { registry: { version: 1, keys: { [chat(known)]: made(ofStack, now) } }, left: [] }
  const { keys, left } = judged(nginxDirectives(text), known)
  if (keys.length === 0)
    throw new Stop(
      exitCodes.usage,
      [
        `${file} is neither an export of ${called('keys')} nor has it a key that nginx lets in for sure, such as "Bearer KEY" 1;`,
        ...left.map(leftText),
        'Nothing was changed.',
      ].join('\n'),
    )
  const names = freeNames(known, keys.length)
  const entries = keys.map((key, at): [string, Entry] => [names[at] ?? '', made(key, now)])
  return { registry: { version: 1, keys: Object.fromEntries(entries) }, left }
}

const made = (key: string, now: Date): Entry => ({ created: now.toISOString(), hashes: [{ sha256: hashKey(key) }] })

/** The key that a stack's .env gives to its chat page for LiteLLM (docs.litellm.ai/docs/proxy/virtual_keys: LITELLM_MASTER_KEY); undefined in any other file. */
const stackKey = (text: string): string | undefined =>
  /^(?:export +)?LITELLM_MASTER_KEY=(["']?)([\x21-\x7e]{8,}?)\1[ \t\r]*$/m.exec(text)?.[2]

/** Who uses that key. */
const chat = (known: Registry): string =>
  Object.hasOwn(known.keys, 'open-webui') ? (freeNames(known, 1)[0] ?? '') : 'open-webui'

/** Hashes of the keys that such a text lets in for sure, in its order, and what is told of the rest. */
export function listedHashes(text: string): { hashes: string[]; left: Left[] } {
  const { keys, left } = judged(nginxDirectives(text), noKeys)
  return { hashes: keys.map(hashKey), left }
}

export const leftText = ({ line, why }: Left): string => `  line ${line}: ${why}`

/** Names for so many keys that are brought, beside those that there are. */
export function freeNames({ keys }: Registry, count: number): string[] {
  const numbers = Object.keys(keys).map((name) => Number(/^imported-(\d{1,9})$/.exec(name)?.[1] ?? 0))
  const last = Math.max(0, ...numbers)
  return Array.from({ length: count }, (_, at) => `imported-${last + at + 1}`)
}

/** A line of a map: what it says of one key. */
interface Line {
  at: Directive
  key: string | undefined
  verdict: 'in' | 'refused' | 'unsure' | 'nobody'
  why: string
}

function judged(directives: Directive[], known: Registry): { keys: string[]; left: Left[] } {
  const lines = sorted(directives)
  const refused = new Set(lines.flatMap(({ key, verdict }) => (key && verdict !== 'in' ? [key.toLowerCase()] : [])))
  const here = new Set(Object.values(known.keys).flatMap(({ hashes }) => hashes.map(({ sha256 }) => sha256)))
  const keys = new Set<string>()
  const left: Left[] = []
  for (const line of lines) {
    const why = line.verdict === 'in' ? unfit(line.key ?? '', refused, here, keys) : line.why
    if (why === undefined) keys.add(line.key ?? '')
    else if (line.verdict !== 'nobody')
      left.push({ line: range(line.at), why, lost: line.verdict !== 'refused' && why !== twice })
  }
  return { keys: [...keys], left }
}

const twice = 'the same key stands above or is here already.'

/** Why a key that nginx lets in cannot be taken. nginx compares without regard to case, so a refusal counts for every spelling. */
function unfit(key: string, refused: Set<string>, here: Set<string>, taken: Set<string>): string | undefined {
  if (refused.has(key.toLowerCase())) return 'another line does not let the same key in.'
  if (taken.has(key) || here.has(hashKey(key))) return twice
  if (!/^[\x21-\x7e]+$/.test(key)) return 'its key is empty, or has letters that no client can send.'
  return key.toLowerCase() === 'ollama'
    ? `the word ollama counts as no key here; give them one with ${called('keys')} add.`
    : undefined
}

const range = ({ from, to }: Directive): string => (from === to ? `${from}` : `${from} to ${to}`)

/** Whether the words of a map begin with Bearer, and why nothing in it is sure. */
interface Place {
  scheme: 'bearer' | 'bare'
  doubt?: string | undefined
}

const list: Place = { scheme: 'bearer' }

/** Every line, in the map where it stands; blocks that are no map are told as a whole. */
function sorted(directives: Directive[]): Line[] {
  const targets = targetsOf(directives)
  const lines: Line[] = []
  for (let at = 0; at < directives.length; at += 1) {
    const directive = directives[at] as Directive
    if (directive.end !== '{') lines.push(lineOf(directive, list))
    else if (directive.words.join() !== 'http' || directive.fault) {
      const close = closing(directives, at)
      lines.push(...blockOf(directives.slice(at, close + 1), targets))
      at = close
    }
  }
  return lines
}

/** The variables that maps of the same header set. */
function targetsOf(directives: Directive[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const { words, end } of directives) {
    if (!isMap(words) || end !== '{') continue
    const [, source = '', target = ''] = words
    found.set(source.toLowerCase(), (found.get(source.toLowerCase()) ?? new Set()).add(target))
  }
  return found
}

const isMap = (words: string[]): boolean => words[0] === 'map' && words.length === 3

/** Where the block that begins here ends; the last directive when it never does. */
function closing(directives: Directive[], from: number): number {
  let depth = 0
  for (let at = from; at < directives.length; at += 1) {
    const end = directives[at]?.end
    if (end === '{') depth += 1
    if (end === '}') depth -= 1
    if (depth === 0) return at
  }
  return directives.length - 1
}

function blockOf(block: Directive[], targets: Map<string, Set<string>>): Line[] {
  const [head, ...inside] = block as [Directive, ...Directive[]]
  const last = block.at(-1) ?? head
  const [, source = '', target = ''] = head.words
  const scheme = schemes[source.toLowerCase()]
  const fault = faultOf(head, inside, last) ?? (scheme ? undefined : `${shown(source)} holds no API key`)
  if (fault || !scheme)
    return [
      { at: { ...head, to: last.to }, key: undefined, verdict: 'unsure', why: `${fault}; nothing in it was read.` },
    ]
  const place = { scheme, doubt: doubtOf(target, inside, targets.get(source.toLowerCase()) ?? new Set()) }
  return inside.map((directive) => lineOf(directive, place))
}

function faultOf(head: Directive, inside: Directive[], last: Directive): string | undefined {
  if (!isMap(head.words)) return `${shown(head.words[0])} is no map of keys`
  if (head.fault) return head.fault
  if (inside.some(({ end }) => end === '{')) return 'a map holds no other block'
  return last.end === '}' ? undefined : 'the map is never closed by }'
}

const shown = (word = ''): string => JSON.stringify(word.slice(0, 40))

const schemes: Record<string, Place['scheme']> = { $http_authorization: 'bearer', $http_x_api_key: 'bare' }

/** Why nothing that a map opens lets somebody in for sure. */
function doubtOf(target: string, inside: Directive[], targets: Set<string>): string | undefined {
  if (targets.size > 1)
    return `the file has maps to ${[...targets].map(shown).join(' and ')}, and which of them lets in is not known; import a file with that one alone.`
  if (/block|ban|den[iy]|refus|forbid|invalid|reject|revok|bad|limit/i.test(target))
    return `${shown(target)} does not sound as if it let somebody in.`
  return inside.some(({ words }) => words[0] === 'default' && verdictOf(words[1] ?? '') !== 'refused')
    ? 'its default does not refuse, so its lines are not what lets in.'
    : undefined
}

const opening = ['1', 'on', 'yes', 'true']
const shutting = ['0', '', 'off', 'no', 'false']

function verdictOf(value: string): 'in' | 'refused' | 'unsure' {
  const small = value.toLowerCase()
  return opening.includes(small) ? 'in' : shutting.includes(small) ? 'refused' : 'unsure'
}

/** Words of a map that say nothing of a key. */
const settings = /^(volatile|hostnames|map_hash_(max|bucket)_size)$/

function lineOf(at: Directive, place: Place): Line {
  const [first = '', value = ''] = at.words
  const key = keyOf(first, place)
  const told = (verdict: Line['verdict'], why = ''): Line => ({ at, key, verdict, why })
  if (at.fault) return told('unsure', `${at.fault}.`)
  if (at.end === '}' || settings.test(first)) return told('nobody')
  if (first === 'include') return told('unsure', `the file ${shown(value)} is not read; import it, too.`)
  if (at.words.length !== 2)
    return told('unsure', 'it is not a key and a value, as nginx wants them; is a ; or a word missing?')
  const verdict = verdictOf(value)
  if (first === 'default')
    return verdict === 'refused'
      ? told('nobody')
      : told('unsure', 'it lets in whoever has no key; here nobody without one gets in.')
  if (first.startsWith('~')) return told('unsure', 'it is a pattern (~), and only whole keys can be taken.')
  if (key === undefined)
    return verdict === 'refused'
      ? told('nobody')
      : told('unsure', 'it is no "Bearer KEY", so no client can send it here.')
  if (place.doubt) return told('unsure', place.doubt)
  return told(verdict, verdict === 'refused' ? 'nginx refuses this key, so it stays refused.' : unclear(value))
}

const unclear = (value: string): string =>
  value.includes('$')
    ? 'its value is a variable, so whether it lets in is not known.'
    : `its value is none of ${opening.join(', ')}, so whether it lets in is not known.`

/** The key of a map's word; a backslash before it only says that it is no word of nginx's own. */
function keyOf(word: string, { scheme }: Place): string | undefined {
  const plain = word.startsWith('\\') ? word.slice(1) : word
  const key = scheme === 'bare' ? plain : /^Bearer ([^ ]*)$/is.exec(plain)?.[1]
  return key === '' && scheme === 'bare' ? undefined : key
}
