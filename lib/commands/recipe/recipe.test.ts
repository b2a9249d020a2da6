import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { realLook } from '../../host/host.ts'
import { filled, recipeNames, recipeOf, sourceOf, valuesOf } from './book.ts'
import { recipeChecks } from './verify.ts'
import { filesOf, type Written } from './write.ts'

const look = realLook()
const folder = mkdtempSync(join(tmpdir(), 'recipe-'))
afterAll(() => rmSync(folder, { recursive: true }))

const stack = await recipeOf(look, 'ai-stack')
const given = ['domain=example.net', `stack=${folder}/stack`, `data=${folder}/data`]
const files = (part: string, name = 'ai-stack') =>
  filesOf(look, name, stack.parts[part] ?? { what: '', files: {}, folders: [] }, valuesOf(stack, given))
const env = (all: Written[]): Written =>
  all.find(({ path }) => path.endsWith('/.env')) ?? { path: '', text: '', mode: 0 }

interface Compose {
  services: Record<
    string,
    { image: string; restart?: string; ports?: string[]; healthcheck?: unknown; security_opt?: string[] }
  >
}

describe.each(await recipeNames(look))('the recipe %s', async (name) => {
  const { parts, checks, values } = await recipeOf(look, name)
  const sources = Object.values(parts).flatMap((part) => Object.keys(part.files))
  const composes = await Promise.all(
    sources.filter((file) => file.endsWith('compose.yaml')).map((file) => sourceOf(look, name, file)),
  )
  const services = composes.flatMap((text) => Object.values((parse(text) as Compose).services))

  it('has an image by its version for each service, never by a name that becomes another one', () => {
    for (const { image } of services) expect(image).toMatch(/:[\w.-]*\d+\.\d+\.\d+[\w.-]*$/)
  })

  it('publishes on one address that is told, and lets no process get more rights', () => {
    for (const { ports = [], security_opt } of services) {
      for (const port of ports) expect(port).toMatch(/^\{\{publish\}\}:\d+:\d+$/)
      expect(security_opt).toEqual(['no-new-privileges:true'])
    }
  })

  it('asks each service that is to go on whether it is well', () => {
    for (const { restart, healthcheck } of services) expect(healthcheck === undefined).toBe(restart === undefined)
  })

  it('names no address, and every word in its files has a value', async () => {
    const texts = await Promise.all(sources.map((file) => sourceOf(look, name, file)))
    const given = { ...Object.fromEntries(Object.keys(values).map((one) => [one, 'x'])), secret: 'x' }
    for (const text of [...texts, JSON.stringify(checks)]) {
      expect(filled(text, given)).not.toContain('{{')
      expect(text.replaceAll('127.0.0.1', '')).not.toMatch(/\d+\.\d+\.\d+\.\d+/)
    }
  })

  it('gives no secret of its own: those in its .env are made anew', async () => {
    for (const file of sources.filter((one) => one.endsWith('.env')))
      for (const line of (await sourceOf(look, name, file)).trim().split('\n'))
        expect(line).toMatch(/^\w+=(|(sk-)?\{\{secret\}\}|\w+@\{\{domain\}\})$/)
  })
})

describe('files of a recipe', () => {
  it('lie where the stack is told to be; what has secrets is for its owner alone', async () => {
    const all = await files('ui')
    expect(all.map(({ path, mode }) => [path.slice(folder.length), mode])).toEqual([
      ['/stack/compose.yaml', 0o644],
      ['/stack/.env', 0o600],
      ['/data/litellm/config/config.yaml', 0o644],
    ])
    expect(all.map(({ text }) => text).join('')).not.toContain('{{')
  })

  it('has other secrets each time, and keeps those that are there', async () => {
    expect(env(await files('gpu')).text).not.toBe(env(await files('gpu')).text)
    mkdirSync(`${folder}/stack`)
    writeFileSync(`${folder}/stack/.env`, '# mine\nQDRANT_API_KEY=of-before', { mode: 0o600 })
    expect(env(await files('gpu')).text).toMatch(/^# mine\nQDRANT_API_KEY=of-before\nVLLM_API_KEY=[0-9a-f]{64}\n$/)
  })

  it('an .env that others may read is refused, with what closes it', async () => {
    chmodSync(`${folder}/stack/.env`, 0o640)
    await expect(files('gpu')).rejects.toThrow(/^Others may read .*\/\.env, .*: chmod 600 .*\/\.env$/)
  })
})

describe('values of a recipe', () => {
  it.each([
    [[], /needs domain: --set domain=/],
    [['domain'], /--set takes NAME=VALUE, not "domain"\./],
    [['domian=example.net'], /no "domian"; did you mean domain\?/],
    [['domain=Example.net/x'], /domain takes a name in small letters/],
    [['domain=example.net', 'publish=0.0.0.0'], /publish takes one address .*wildcard.*, not "0\.0\.0\.0"/],
    [['domain=example.net', 'stack=../x'], /stack takes a folder from \/ on/],
  ])('%j is refused in one sentence', (words, sentence) => {
    expect(() => valuesOf(stack, words)).toThrow(sentence)
  })

  it('an unknown recipe is refused, with the one that was meant', async () => {
    await expect(recipeOf(look, 'ai-stak')).rejects.toThrow('did you mean ai-stack?')
  })
})

describe('the check of a name', () => {
  const known: Record<string, Record<string, string[]>> = {
    'chat.example.net': { A: ['10.2.1.120'] },
    'openai.example.net': { A: ['10.2.1.120'], CNAME: ['chat.example.net'] },
  }
  const found = async (name: string) => {
    const resolve: typeof look.resolve = async ({ name, type = 'A' }) => known[name]?.[type]
    const all = recipeChecks(stack.checks, valuesOf(stack, given), '10.2.1.1')
    return all.find(({ id }) => id === `dns.${name}`)?.check({ ...look, resolve })
  }

  it('takes an alias, and an address in its place, as the gateway’s own records have one for each name', async () => {
    expect(await found('openai')).toEqual({ is: 'ok', saw: 'chat.example.net' })
    expect(await found('chat')).toEqual({ is: 'ok', saw: '10.2.1.120' })
    expect(await found('vllm')).toMatchObject({ is: 'missed', saw: expect.stringContaining('no answer') })
  })
})
