import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import GithubSlugger from 'github-slugger'
import { lexer, type Token, walkTokens } from 'marked'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Script } from '../lib/commands/cli.ts'
import { type Verb, verbs } from '../lib/commands/verbs.ts'
import { blocksOf } from '../sandbox/pictures/blocks.ts'
import { masked } from '../sandbox/pictures/masked.ts'
import { glossary } from './glossary.ts'

const pages = ['README.md', 'sandbox/README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((file) =>
  file.endsWith('.md'),
)
const read = (file: string): string => readFileSync(file, 'utf8')

function tokensOf<T extends Token['type']>(page: string, ...types: T[]): Extract<Token, { type: T }>[] {
  const found: Extract<Token, { type: T }>[] = []
  walkTokens(lexer(read(page)), (token) => {
    if ((types as string[]).includes(token.type)) found.push(token as Extract<Token, { type: T }>)
  })
  return found
}

/** What is to be typed or was printed: lines of code, and what stands in a line between backticks. */
const codeOf = (page: string): string[] =>
  tokensOf(page, 'code', 'codespan').flatMap(({ text }) => (text as string).split('\n'))

const slugs = (page: string): string[] => {
  const slugger = new GithubSlugger()
  return tokensOf(page, 'heading').map(({ text }) => slugger.slug((text as string).replaceAll('`', '')))
}

describe.each(pages)('%s', (page) => {
  let known: Record<string, Script>
  beforeAll(async () => {
    const all = Object.entries<Verb>(verbs).map(async ([verb, { script }]) => [verb, await script()] as const)
    known = Object.fromEntries(await Promise.all(all))
  })

  /** A verb and what follows it, of every command of ours. */
  const commands = (): { verb: string; words: string }[] =>
    codeOf(page).flatMap((line) =>
      [...line.matchAll(/(?<![\w./~-])(?:rop ([a-z]+)|(?:npx tsx )?(?:rop\.ts ([a-z]+)|([a-z-]+)\.ts))\b([^|&#;]*)/g)]
        .map(([, verb, later, script, words = '']) => ({
          verb: verb ?? later ?? script?.replace('-models', '') ?? '',
          words: words.split(' -- ')[0] ?? '',
        }))
        .filter(({ verb }) => !['rop', 'observer', 'help', 'completion'].includes(verb)),
    )

  it('names commands that exist, with options that they have', () => {
    const wrong = commands().flatMap(({ verb, words }) => {
      const script = known[verb]
      if (!script) return existsSync(`${verb}.ts`) ? [] : [`no ${verb}`]
      const flags = [...words.matchAll(/(?<= |^)--([a-z][a-z-]*)/g)].map(([, flag = '']) => flag)
      const own = flags.filter((flag) => !Object.hasOwn({ ...script.options, help: 0, version: 0 }, flag))
      const [sub = ''] = verb === 'keys' ? (/^ ([a-z]+)/.exec(words)?.slice(1) ?? []) : []
      return [...own.map((flag) => `${verb} --${flag}`), ...(script.usage.includes(sub) ? [] : [`keys ${sub}`])]
    })
    expect(wrong).toEqual([])
  })

  it('names options that some command has', () => {
    const all = Object.values(known).flatMap(({ options }) => Object.keys(options))
    // Of what only a checkout has.
    const others = ['help', 'version', 'plain', 'loses', 'seed', 'count', 'haproxy', 'ollama', 'quick', 'disabled']
    const alone = codeOf(page).flatMap((text) => /^--([a-z][a-z-]*)/.exec(text)?.[1] ?? [])
    expect(alone.filter((flag) => ![...all, ...others].includes(flag))).toEqual([])
  })

  it('names scripts of package.json that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = codeOf(page).flatMap((line) => [...line.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name))
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([])
  })

  it('names files that exist', () => {
    const path = /(?<![\w./~-])(?:lib|docs|sandbox|test|templates|monitoring|bench|\.github|\.ci)\/[\w./-]*\w/g
    const named = codeOf(page).flatMap((line) => line.match(path) ?? [])
    const there = (file: string) => existsSync(file) || existsSync(join(dirname(page), file))
    expect(named.filter((file) => !/VERB|NAME/.test(file) && !there(file))).toEqual([])
  })

  it('links to pages, parts of pages and pictures that exist', () => {
    const inHtml = [...read(page).matchAll(/(?:src|srcset)="([^"]+)"/g)].map(([, href = '']) => href)
    const links = [...tokensOf(page, 'link', 'image').map(({ href }) => href as string), ...inHtml]
    const broken = links.filter((href) => {
      const [file = '', anchor] = href.split('#')
      if (/^https?:/.test(href)) return false
      const target = file === '' ? page : join(dirname(page), file)
      return !existsSync(target) || (anchor !== undefined && !slugs(target).includes(anchor))
    })
    expect(broken).toEqual([])
  })

  it('shows as printed only what was printed in a recorded run', () => {
    const marked = blocksOf(read(page))
    const claims = tokensOf(page, 'code').filter(({ lang, text }) => !lang && /^\$ /m.test(text as string))
    const shown = marked.map(({ text }) => text.trimEnd())
    expect(claims.map(({ text }) => text as string).filter((text) => !shown.includes(text.trimEnd()))).toEqual([])
    for (const { file, part, text } of marked) {
      const recorded = masked(read(file)).split('\n')
      const pieces = (part ? text.split(/^…$/m) : [text]).filter((piece) => piece.trim() !== '')
      for (const piece of pieces) {
        const lines = masked(piece).split('\n')
        const at = recorded.findIndex((_, start) => lines.every((line, more) => recorded[start + more] === line))
        expect([file, lines, at], `what ${file} no longer says`).toEqual([
          file,
          lines,
          expect.not.toSatisfy((n) => n < 0),
        ])
      }
    }
  })

  it('is no wider than a page', () => {
    const code = tokensOf(page, 'code').flatMap(({ lang, text }) =>
      (text as string).split('\n').map((line) => ({ line, most: lang ? 200 : 100 })),
    )
    expect(code.filter(({ line, most }) => line.length > most).map(({ line }) => line)).toEqual([])
    const prose = proseOf(read(page)).filter((paragraph) => !paragraph.startsWith('|'))
    expect(prose.flatMap((paragraph) => paragraph.split('\n')).filter((line) => line.length > 220)).toEqual([])
  })

  it('explains the words that a newcomer does not know, where they first stand', () => {
    const prose = proseOf(read(page).replaceAll(/`[^`\n]+`|\]\([^)]*\)/g, ''))
    const paragraphs = prose.map((paragraph) => paragraph.replaceAll(/\s+/g, ' '))
    const unexplained = glossary.flatMap(({ word, explained }) => {
      const first = paragraphs.findIndex((text) => word.test(text))
      const until = paragraphs.slice(0, first + 1)
      return until.some((text) => explained.test(text)) || first < 0 ? [] : [`${word}: ${paragraphs[first]}`]
    })
    expect(unexplained).toEqual([])
  })
})

/** The paragraphs, lists and tables of a page, without its code. */
function proseOf(text: string): string[] {
  return text
    .replaceAll(/```[\s\S]*?```/g, '')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
}
