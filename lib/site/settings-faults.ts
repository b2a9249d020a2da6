import { type Document, isMap, isScalar, isSeq, type YAMLError } from 'yaml'
import type { z } from 'zod'
import { nearest } from './nearest.ts'

/** The names of settings as a tree; `*` stands for any name. */
export interface Names {
  [name: string]: Names
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>
  additionalProperties?: JsonSchema | boolean
  propertyNames?: { enum?: string[] }
}

/** The names that a schema knows, from its JSON form. */
export function namesOf(schema: object): Names {
  const { properties = {}, additionalProperties: others, propertyNames } = schema as JsonSchema
  const own = Object.entries(properties).map(([name, inner]) => [name, namesOf(inner)])
  const free = typeof others === 'object' ? (propertyNames?.enum ?? ['*']).map((name) => [name, namesOf(others)]) : []
  return Object.fromEntries([...own, ...free])
}

const pathsOf = (names: Names): string[] => {
  const all = Object.entries(names).flatMap(([name, inner]) => [
    name,
    ...pathsOf(inner).map((path) => `${name}.${path}`),
  ])
  // What stands once comes before what each of several has.
  return [...all.filter((path) => !path.includes('*')), ...all.filter((path) => path.includes('*'))]
}

/** What looks like a blank or a quote, or like nothing, and is another letter for YAML: ⌥ and blank, pages, chats and editors write it. */
const disguised: [letters: RegExp, words: string][] = [
  [/(?! )[\p{Zs}\p{Zl}\p{Zp}\p{Cf}]/u, 'each ? there is a letter that cannot be seen; type the line anew'],
  [/[“”„‟‘’‚«»]/, `curly quotes are letters like others; write ' or "`],
]

/** A line of the file as it is written, under its number (from 1), and why it may look right where it is not. */
export function shownLine(text: string, line: number): string {
  const written = (text.replace(/^\uFEFF/, '').split('\n')[line - 1] ?? '').replace(/[ \t\r]+$/, '')
  const plain = written.replaceAll(/\p{Cc}|(?! )[\p{Zs}\p{Zl}\p{Zp}\p{Cf}]/gu, (letter) =>
    letter === '\t' ? '→' : '?',
  )
  const hints = disguised.flatMap(([letters, words]) =>
    letters.test(written.replace(/ #.*/, '')) ? [`\n    (${words})`] : [],
  )
  return `    line ${line}: ${plain.length > 160 ? `${plain.slice(0, 160)}…` : plain}${hints.join('')}`
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

/** Each fault that a schema found, as a sentence under the path of its setting, and the line where it stands. */
export function settingFaults(issue: z.core.$ZodIssue, text: string, document: Document, names: Names): string[] {
  const told = (path: PropertyKey[], words: string): string => {
    const line = lineOf(document, path, text)
    return [`  ${path.join('.') || '(top)'}: ${words}`, ...(line ? [shownLine(text, line)] : [])].join('\n')
  }
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) =>
      told([...issue.path, key], `there is no such setting${instead(key, issue.path, names)}`),
    )
  if (issue.code === 'invalid_key') return [told(issue.path, issue.issues[0]?.message ?? issue.message)]
  if (typeof issue.input === 'string' && isGlued(issue.input, names))
    return [told(issue.path, blankMissing(issue.input))]
  const own = issue.code === 'invalid_type' && issue.input !== null ? Object.keys(under(issue.path, names)) : []
  const known = own.filter((name) => name !== '*').slice(0, 12)
  return [told(issue.path, `${issue.message}${known.length > 0 ? `: ${known.join(', ')}` : ''}`)]
}

const isGlued = (text: string, names: Names): boolean =>
  new RegExp(
    `^["']?(${[...new Set(pathsOf(names).flatMap((path) => path.split('.')))].filter((name) => /^\w+$/.test(name)).join('|')})["']?:\\S`,
  ).test(text)

const blankMissing = (text: string): string =>
  `a blank has to follow the colon: ${text.replace(/^(["']?\w+["']?):/, '$1: ').slice(0, 80)}`

/** The names below a path. */
const under = (path: PropertyKey[], names: Names): Names =>
  path.reduce<Names>((here, name) => here[String(name)] ?? here['*'] ?? {}, names)

/** What was probably meant by a name that is not known where it stands: one beside it, or the same elsewhere. */
function instead(key: string, path: PropertyKey[], names: Names): string {
  if (isGlued(key, names)) return `; ${blankMissing(key)}`
  const parent = path.join('.')
  let here: Names | undefined = names
  for (const name of parent ? parent.split('.') : []) here = here?.[name] ?? here?.['*']
  const beside = nearest(
    key,
    Object.keys(here ?? {}).filter((name) => name !== '*'),
  )
  if (beside) return `; did you mean ${parent ? `${parent}.` : ''}${beside}?`
  const elsewhere = pathsOf(names).find((path) => path.split('.').at(-1) === key || path.replaceAll('.', '_') === key)
  return elsewhere ? `; did you mean ${elsewhere}?` : ''
}

/** The line of a setting, or of the nearest one above it that is written. */
function lineOf(document: Document, path: PropertyKey[], text: string): number | undefined {
  let node: unknown = document.contents
  let offset = isScalar(node) ? node.range?.[0] : undefined
  for (const name of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && `${key.value}` === String(name))
      if (!pair) break
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
      if (isScalar(node) && node.value !== null) offset = node.range?.[0] ?? offset
    } else if (isSeq(node)) {
      node = node.items[Number(name)]
      offset = (node as { range?: [number] } | undefined)?.range?.[0] ?? offset
    } else break
  }
  return offset === undefined ? undefined : lineAt(text, offset)
}

/** What is wrong where the text cannot be read as YAML, by the reader's code for it. */
const yamlWords: Record<string, string> = {
  BAD_ALIAS: 'a word cannot begin with *; put it in quotes',
  BAD_DIRECTIVE: 'a line cannot begin with %; put the word in quotes',
  BAD_DQ_ESCAPE: 'a backslash between double quotes has to be doubled; or use single quotes',
  BAD_INDENT: 'this line begins at another column than those it belongs to; indent them alike',
  BAD_SCALAR_START: 'a word cannot begin with @, %, ` or such a sign; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a second name with a colon stands where a value should; write it on a line of its own, or put the value in quotes',
  BLOCK_IN_FLOW: 'between brackets only words and commas are read',
  DUPLICATE_KEY: 'this setting stands twice; keep one of the two lines',
  MULTILINE_IMPLICIT_KEY: 'a name without its colon, or a value on a line of its own; write NAME: VALUE',
  MULTIPLE_DOCS: 'the --- begins a second document, and settings are one; take that line out',
  TAB_AS_INDENT: 'the line is indented by a tab; use blanks',
}

/** Why a text is no YAML, and the line that shows it; `error` is the reader's first. */
export function yamlFault(text: string, error: YAMLError | undefined, names: Names): { words: string; line: number } {
  const lines = text.split('\n')
  const glued = lines.findIndex((line) => isGlued(line.trim(), names))
  if (glued >= 0) return { words: blankMissing((lines[glued] ?? '').trim()), line: glued + 1 }
  const open =
    error &&
    ['BAD_INDENT', 'MISSING_CHAR', 'BLOCK_IN_FLOW', 'MULTILINE_IMPLICIT_KEY', 'UNEXPECTED_TOKEN'].includes(error.code)
      ? unclosed(text)
      : undefined
  if (open)
    return {
      words: `the ${open.sign} is never closed${open.wants === open.sign ? '' : ` by ${open.wants}`}`,
      line: open.line,
    }
  const line = error ? lineAt(text, error.pos[0]) : lines.findIndex((one) => /(^|[\s[,])\*/.test(one)) + 1 || 1
  if (!error) return { words: yamlWords.BAD_ALIAS ?? '', line }
  const extra = error.code === 'UNEXPECTED_TOKEN' && /^[\]}]$/.test(text.slice(...error.pos))
  return {
    words: extra
      ? `the ${text.slice(...error.pos)} closes nothing`
      : (yamlWords[error.code] ?? 'a name, a colon, a blank and a value are wanted here'),
    line,
  }
}

const closers: Record<string, string> = { '[': ']', '{': '}' }

/** The bracket or quote that is never closed, or not before the next setting begins. */
function unclosed(text: string): { sign: string; wants: string; line: number } | undefined {
  const open: { sign: string; wants: string; line: number }[] = []
  let quote: { sign: string; wants: string; line: number } | undefined
  for (const [at, line] of text.split('\n').entries()) {
    if (open.length > 0 && !quote && /^[\w]+:(\s|$)/.test(line)) break
    let before = ' '
    for (const sign of line) {
      const begins = /[\s[{,:]/.test(before)
      if (quote) {
        if (sign === quote.sign && before !== '\\') quote = undefined
      } else if ((sign === '"' || sign === "'") && begins) quote = { sign, wants: sign, line: at + 1 }
      else if (sign === '#' && /\s/.test(before)) break
      else if (closers[sign] && begins) open.push({ sign, wants: closers[sign], line: at + 1 })
      else if (sign === open.at(-1)?.wants) open.pop()
      before = sign
    }
  }
  return quote ?? open.at(-1)
}
