import { guard } from '../../../lib/gateway/policies/connections.ts'
import { policies } from '../../../lib/gateway/policies/index.ts'
import { type Gateway, otherSlots } from '../../../lib/gateway/policy.ts'
import { quoted } from '../../../lib/gateway/quoted.ts'
import { places } from '../../../lib/platform/mac/places.ts'
import type { Configuration } from '../../../lib/site/configuration.ts'

/** One line, a part of it, or one entry of a file taken away. */
export interface Mutant {
  /** the policy that brought it */
  policy: string
  /** section or file, then what is gone: `tailnet: http-request …`, `routes.map: GET:/api/tags …` */
  gone: string
  apply(configuration: Configuration): Configuration
}

/** What a gateway runs, before anything is taken away. */
export interface Base {
  gateway: Gateway
  configuration: Configuration
  /** how its text was changed for the suite, line by line */
  alter(text: string): string
  version: [number, number]
}

/** The suite itself reads through this one, so a gateway without it never counts as started. */
const needed = /^(stats socket|setenv) /
/** Texts of whole answers: their rules (`errorfile`) are taken away instead. */
const whole = /\.http$/

const folderOf = ({ files }: Configuration): string => quoted((Object.keys(files)[0] ?? '').replace(/\/[^/]*$/, ''))
const nameOf = (path: string): string => path.replace(/^.*\//, '')

/** Which policy brought a line, by its section and the line as it was rendered: two backends may have the same one. */
function owners({ gateway, configuration, alter }: Base): Map<string, string> {
  const { keyMaps, certs } = places(gateway.home)
  const paths = Object.entries({ files: folderOf(configuration), keys: quoted(keyMaps), certs: quoted(certs) })
  const filled = (line: string) => paths.reduce((text, [name, path]) => text.replaceAll(`{{${name}}}`, path), line)
  const shown = (line: string) => alter(filled(line)).trim()
  const owner = new Map<string, string>()
  const own = (section: string, lines: string[], policy: string) => {
    for (const line of lines) owner.set(`${section} ${shown(line)}`, policy)
  }
  const frontends = gateway.listeners.slice(0, 1).map(({ name }) => name)
  for (const frontend of frontends) own(frontend, guard(gateway), 'connections')
  for (const { name, lines, sections = [] } of policies(gateway)) {
    for (const [slot, rules] of Object.entries(lines))
      for (const section of (otherSlots as readonly string[]).includes(slot) ? [slot] : frontends)
        own(section, rules, name)
    for (const [first = '', ...rest] of sections.map((text) => text.split('\n')))
      own(first.split(' ').slice(-1)[0] ?? '', rest, name)
  }
  return owner
}

const atLeast = ([major, minor]: [number, number], wanted: string): boolean => {
  const [one = 0, two = 0] = wanted.split('.').map(Number)
  return major * 100 + minor >= one * 100 + two
}

interface Line {
  index: number
  text: string
  section: string
}

/** Lines that this version of HAProxy reads, with the section they stand in. */
function linesOf({ configuration, version }: Base): Line[] {
  let section = ''
  let read = true
  return configuration.text.split('\n').flatMap((text, index) => {
    if (/^[a-z]/.test(text)) section = text.split(' ').slice(-1)[0] ?? ''
    const condition = /^\.if version_atleast\(([\d.]+)\)/.exec(text)?.[1]
    if (condition) read = atLeast(version, condition)
    if (text.startsWith('.else')) read = !read
    if (text.startsWith('.endif')) read = true
    return read && /^ {4}[a-z]/.test(text) ? [{ index, text: text.trim(), section }] : []
  })
}

/** `if` and what follows it, outside quotes: one list of terms for each alternative. */
function conditionOf(line: string): { head: string; alternatives: string[][] } | undefined {
  const at = line.lastIndexOf(' if ')
  if (at < 0 || (line.indexOf("'", at) > 0 && !line.includes('{', at))) return undefined
  const terms = [...line.slice(at + 4).matchAll(/!?\{ .*? \}(?= |$)|\S+/g)].map(([term]) => term)
  const alternatives: string[][] = [[]]
  for (const term of terms) term === 'or' ? alternatives.push([]) : alternatives.at(-1)?.push(term)
  return { head: line.slice(0, at), alternatives }
}

const written = (alternatives: string[][]): string => alternatives.map((terms) => terms.join(' ')).join(' or ')

/** The line without one alternative, and without one term of an alternative: what is left refuses less, or more. */
function parts(line: string): { gone: string; left: string }[] {
  const server = / maxconn \d+/.exec(line)?.[0]
  if (line.startsWith('server ') && server)
    return [{ gone: `${server.trim()} of ${line}`, left: line.replace(server, '') }]
  const condition = conditionOf(line)
  if (!condition) return []
  const { head, alternatives } = condition
  const made = (gone: string, rest: string[][]) => ({ gone: `${gone} of ${line}`, left: `${head} if ${written(rest)}` })
  const fewer =
    alternatives.length < 2
      ? []
      : alternatives.map((terms, at) =>
          made(
            terms.join(' '),
            alternatives.filter((_, other) => other !== at),
          ),
        )
  const looser = alternatives.flatMap((terms, at) =>
    terms.length < 2
      ? []
      : terms.map((term, place) =>
          made(
            term,
            alternatives.map((all, other) => (other === at ? all.filter((_, one) => one !== place) : all)),
          ),
        ),
  )
  return [...fewer, ...looser]
}

/** The text without a line, or with a part of it left. The line is the text's own: every gateway has other paths. */
function replaced(text: string, index: number, place?: number): string {
  const lines = text.split('\n')
  const left = place === undefined ? undefined : parts((lines[index] ?? '').trim())[place]?.left
  return lines.flatMap((line, at) => (at !== index ? [line] : left === undefined ? [] : [`    ${left}`])).join('\n')
}

/** Every line of a policy's, and every part of its condition. */
function ofText(base: Base): Mutant[] {
  const owner = owners(base)
  return linesOf(base).flatMap(({ index, text, section }) => {
    const policy = owner.get(`${section} ${text}`)
    if (policy === undefined || needed.test(text)) return []
    const without = (gone: string, place?: number): Mutant => ({
      policy,
      gone: plain(`${section}: ${gone}`, base.configuration),
      apply: (made) => ({ ...made, text: replaced(made.text, index, place) }),
    })
    return [without(text), ...parts(text).map(({ gone }, place) => without(gone, place))]
  })
}

/** Paths and ports differ from run to run; names of files do not. */
const plain = (text: string, configuration: Configuration): string =>
  text
    .replaceAll(folderOf(configuration), 'FILES')
    .replaceAll(/(?:\\ |\S)*\/gw\\? \w+\//g, 'HOME/')
    .replaceAll(/127\.\d+\.\d+\.\d+(:\d+)?/g, 'ADDRESS')
    .replaceAll(/:\d{4,5}\b/g, ':PORT')

/** Files by their names without the folder, which is another for every gateway. */
const byName = (files: Record<string, string>, name: string): [string, string] =>
  Object.entries(files).find(([path]) => nameOf(path) === name) ?? [name, '']

/** Every entry of a map or a list. */
function ofFiles(base: Base): Mutant[] {
  const brought = policies(base.gateway).flatMap(({ name, files }) =>
    Object.keys(files ?? {}).map((file) => [file, name]),
  )
  const owner = new Map(brought as [string, string][])
  const names = [...owner.keys()].filter((name) => !whole.test(name))
  return names.flatMap((name) =>
    byName(base.configuration.files, name)[1]
      .split('\n')
      .flatMap((entry, index): Mutant[] =>
        entry === ''
          ? []
          : [
              {
                policy: owner.get(name) ?? '',
                gone: plain(`${name}: ${entry}`, base.configuration),
                apply: (made) => without(made, name, index),
              },
            ],
      ),
  )
}

function without(made: Configuration, name: string, index: number): Configuration {
  const [path, content] = byName(made.files, name)
  const left = content.split('\n').filter((_, at) => at !== index)
  return { ...made, files: { ...made.files, [path]: left.join('\n') } }
}

/** All of them, in the order of the configuration. */
export const mutantsOf = (base: Base): Mutant[] => [...ofText(base), ...ofFiles(base)]
