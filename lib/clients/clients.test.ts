import { spawnSync } from 'node:child_process'
import { transformSync } from 'esbuild'
import { parse as toml } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { parse as yaml } from 'yaml'
import { groups, openable } from '../site/endpoints.ts'
import { type Client, type Connection, keyVariable } from './client.ts'
import { clients } from './index.ts'
import { languageOf, missingGroups, snippetText } from './text.ts'

const keyless: Connection = { base: 'http://studio.tail0lab.ts.net:11434', model: 'qwen3:0.6b', context: 65_536 }
const keyed = { ...keyless, key: 'rop_KEY' }
const both = [keyless, keyed]

/** A program that reads the text, and what it complains of. */
const complaint = (program: string, args: string[], input: string): string => {
  const { status, stderr } = spawnSync(program, args, { input, encoding: 'utf8' })
  return status === 0 ? '' : stderr
}
const python = spawnSync('python3', ['--version']).status === 0

/** Throws where a text is not in its language; `text` is what people copy into fields. */
const readers: Record<string, (text: string) => unknown> = {
  toml,
  json: (text) => JSON.parse(text),
  yaml: (text) => yaml(text),
  sh: (text) => expect(complaint('sh', ['-n'], text)).toBe(''),
  js: (text) => transformSync(text, { loader: 'js', format: 'esm' }),
  python: (text) =>
    python && expect(complaint('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], text)).toBe(''),
  text: (text) => expect(text.split('\n').every((line) => /^[A-Z][\w ,()-]*: \S/.test(line))).toBe(true),
}

const connected = clients.filter(({ never }) => never === undefined)

describe('the records of clients', () => {
  it('are known by one name each, which is typed without quotes', () => {
    const names = clients.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => !/^[a-z0-9-]+$/.test(name))).toEqual([])
  })

  it('say for each either what to paste or why it cannot be connected', () => {
    const paste = (client: Client) => client.snippets(keyless).length > 0
    expect(clients.filter((client) => paste(client) === (client.never !== undefined))).toEqual([])
    expect(connected.filter((client) => client.groups.length === 0)).toEqual([])
    expect(clients.flatMap((client) => client.groups).filter((group) => !openable(group))).toEqual([])
    expect(Object.keys(groups)).toEqual(expect.arrayContaining(clients.flatMap((client) => client.groups)))
  })

  it('say a thing in sentences', () => {
    const said = clients.flatMap(({ notes = [], never }) => [...notes, ...(never ? [never] : [])])
    expect(said.filter((text) => !/^[A-Z].*[.]$/.test(text))).toEqual([])
  })

  it('tell every client the address and, where there is one, the model and the key', () => {
    for (const client of connected) {
      const text = client
        .snippets(keyed)
        .map((snippet) => snippet.text)
        .join('\n')
      expect([client.name, text]).toEqual([client.name, expect.stringContaining('studio.tail0lab.ts.net:11434')])
      if (client.name !== 'open-webui') expect(text).toContain('qwen3:0.6b')
      // What can send no key says so.
      if (!text.includes('rop_KEY'))
        expect([client.name, client.notes?.join(' ')]).toEqual([client.name, expect.stringContaining('no key')])
    }
  })
})

describe('snippets', () => {
  for (const client of connected)
    it(`of ${client.title} are what they claim to be`, () => {
      for (const to of both) for (const snippet of client.snippets(to)) readers[languageOf(snippet)]?.(snippet.text)
    })

  it('are claimed to be in a language wherever the place is one', () => {
    const places = connected.flatMap((client) => client.snippets(keyed)).filter((one) => languageOf(one) === 'text')
    expect(places.filter(({ where }) => !/, /.test(where))).toEqual([])
  })

  it('name the place, and stand as they are for whoever copies them', () => {
    const codex = clients.find(({ name }) => name === 'codex')
    const text = codex ? snippetText(codex, keyed) : ''
    expect(text).toMatch(/^In ~\/\.codex\/config\.toml:\n\nmodel = "qwen3:0\.6b"\n/)
    expect(text).toMatch(/\n\nIn your shell:\n\nexport MAC_API_KEY=rop_KEY$/)
  })
})

describe('a client that needs what is not open', () => {
  it('is told which groups, but not those that it can do without', () => {
    const needs = (name: string, open: string[]) =>
      clients.filter((client) => client.name === name).flatMap((client) => missingGroups(client, open))
    expect(needs('ollama', ['agents'])).toEqual(['native', 'status'])
    expect(needs('ollama', ['ollama-cli'])).toEqual([])
    expect(needs('claude', ['openai'])).toEqual(['anthropic'])
    expect(needs('claude', ['anthropic'])).toEqual([])
  })
})

describe('a launch', () => {
  const launched = clients.flatMap((client) => (client.launch ? [{ ...client, launch: client.launch }] : []))

  it('is known for the agents that can be told everything from outside', () => {
    expect(launched.map(({ name }) => name)).toEqual(['claude', 'codex', 'opencode', 'qwen', 'copilot', 'aider'])
  })

  it('never has the key among its words or in a file, and knows where its files lie', () => {
    for (const { launch } of launched) {
      const files = Object.keys(launch.files?.(keyed) ?? {})
      const paths = Object.fromEntries(files.map((name) => [name, `/launch/${name}`]))
      const env = launch.env(keyed, paths)
      expect(JSON.stringify([launch.args(keyed), launch.files?.(keyed) ?? {}])).not.toContain('rop_KEY')
      expect(Object.values(env)).toEqual(expect.arrayContaining(Object.values(paths)))
      const told = JSON.stringify([launch.args(keyed), env])
      expect([told.includes(keyed.base), told.includes(keyed.model)]).toEqual([true, true])
      expect(Object.values(env).includes('rop_KEY') || told.includes(keyVariable)).toBe(true)
    }
  })
})
