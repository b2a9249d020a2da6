import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { atEngine } from '../../lib/checks/hostile/engines.ts'
import { hostileChecks } from '../../lib/checks/hostile.ts'
import { askNode } from '../../lib/nodes/ask.ts'
import { recognise } from '../../lib/nodes/recognise.ts'
import { renewNodes, setDrained } from '../../lib/nodes/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { nodesOf } from '../../lib/site/nodes.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { observeAll } from '../../lib/steps/step.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { checkout } from '../box/paths.ts'
import { ask, came, header, open } from '../lab/asking.ts'
import { asMac, eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { llamaServer, startLlamaServer } from '../services/llama-server.ts'
import { ollama, startOllama } from '../services/ollama.ts'
import type { Serving } from '../services/program.ts'
import { saying, writeChatModel } from '../services/toy-model.ts'

/** Built or fetched once, which takes minutes; what cannot be had is told in the title. */
const had = await Promise.allSettled([ollama(), llamaServer()])
const why = had
  .flatMap((one) => (one.status === 'rejected' ? [`${(one.reason as Error).message}`.split('\n')[0]] : []))
  .join('; ')

const chat = (model: string, more: object = {}) => ({
  model,
  messages: [{ role: 'user', content: 'Who are you?' }],
  ...more,
})
/** The words of a stream of events in OpenAI's shape. */
const wordsIn = (text: string): string =>
  [...text.matchAll(/^data: (\{.*)$/gm)]
    .map(
      ([, data = '']) =>
        (JSON.parse(data) as { choices?: { delta?: { content?: string } }[] }).choices?.[0]?.delta?.content ?? '',
    )
    .join('')

describe.skipIf(why)(`a real Ollama and real llama.cpp servers as nodes${why ? ` (skipped: ${why})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'real-nodes-'))
  let engines: Record<'ollama' | 'llama' | 'embed', Serving>

  beforeAll(async () => {
    const gguf = join(folder, 'tiny.gguf')
    writeChatModel(gguf)
    const [first, second, third] = await Promise.all([
      startOllama(join(folder, 'ollama'), [
        { name: 'tiny', gguf, chats: true },
        { name: 'shared', gguf, chats: true },
      ]),
      startLlamaServer('shared', gguf),
      startLlamaServer('embeds', gguf, ['--embeddings', '--pooling', 'mean']),
    ])
    engines = { ollama: first, llama: second, embed: third }
  })
  afterAll(async () => {
    for (const one of Object.values(engines ?? {})) await one.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  describe.each(triedVersions)('behind $title', ({ program }) => {
    let gateway: RunningGateway
    const settings = () => `role: gateway
groups: [agents, native, completions, embeddings]
nodes:
  mac: { address: 127.0.0.1, port: ${engines.ollama.port}, engine: ollama }
  gpu: { address: 127.0.0.1, port: ${engines.llama.port}, engine: llamacpp, slots: 2 }
  vec: { address: 127.0.0.1, port: ${engines.embed.port}, engine: llamacpp, slots: 2 }
`
    beforeAll(async () => {
      const started = await startGateway({
        ...{ enginePort: engines.ollama.port, settings: settings(), haproxy: await program(), withinMs: 60_000 },
      })
      gateway = started
      const yaml = `port: ${started.port}\n${settings()}`
      await started.machine.write(places(started.home).settings, yaml)
      await eventually('all are up', async () => (await list()).every(({ state }) => state === 'up'), 60_000)
    })
    afterAll(() => gateway?.stop())

    const list = async (): Promise<{ name: string; state: string; models: { name: string; loaded: boolean }[] }[]> => {
      const env = { HOME: gateway.home, PATH: `${asMac(gateway.home)}:${process.env.PATH}` }
      const argv = ['--import', 'tsx', 'rop.ts', 'nodes', '--json']
      const said = await promisify(execFile)(process.execPath, argv, { cwd: checkout, env }).catch((error) => error)
      return JSON.parse(said.stdout)
    }
    const renew = () => renewNodes(gateway.machine, gateway.gateway.settings)
    const asked = (model: string, path: string, more: object) => ask(gateway, { model, ...more }, { path })

    test('each is recognised by what it answers, and tells its models', async () => {
      const [mac, gpu, vec] = nodesOf(gateway.gateway.settings)
      for (const node of [mac, gpu, vec]) {
        if (!node) throw new Error('a node is missing')
        expect(await recognise(gateway.machine, node, {})).toEqual({ engine: node.engine, port: node.port })
      }
      const models = async (node: typeof mac) => (node ? askNode(gateway.machine, node, {}) : undefined)
      expect(await models(gpu)).toEqual({ models: [{ name: 'shared', loaded: true }] })
      expect(await models(mac)).toMatchObject({
        models: expect.arrayContaining([expect.objectContaining({ name: 'tiny:latest' })]),
      })
      expect((await list()).map(({ name, state }) => [name, state])).toEqual([
        ['mac', 'up'],
        ['gpu', 'up'],
        ['vec', 'up'],
      ])
    })

    test('each streams its answer, which comes whole and names it', async () => {
      for (const [model, node] of [
        ['tiny', 'mac'],
        ['shared', 'gpu'],
      ] as const) {
        if (model === 'shared') await setDrained(gateway.machine, 'mac', true)
        const client = await open(gateway, chat(model, { stream: true }))
        const [reply] = await client.settled(1, 60_000)
        client.hangUp()
        await setDrained(gateway.machine, 'mac', false)
        expect([...came(reply), reply?.whole]).toEqual([200, node, true])
        expect(wordsIn(reply?.body ?? '')).toBe(saying)
        expect(reply?.body).toContain('data: [DONE]')
      }
    })

    test('a model that is loaded is seen as that, and asked for there', async () => {
      expect(came(await ask(gateway, chat('tiny')))).toEqual([200, 'mac'])
      await renew()
      const mac = (await list()).find(({ name }) => name === 'mac')
      expect(mac?.models.find(({ name }) => name === 'tiny:latest')?.loaded).toBe(true)
      expect(header(await ask(gateway, chat('tiny')), 'x-route')).toMatch(/loaded|affinity/)
    })

    test('vectors come from what embeds; a server that does not says so itself', async () => {
      const vectors = async (model: string) => {
        const reply = await asked(model, '/v1/embeddings', { input: 'Hello' })
        const { data } = JSON.parse(reply?.body ?? '{}') as { data?: { embedding: number[] }[] }
        return [...came(reply), data?.[0]?.embedding.length]
      }
      expect(await vectors('embeds')).toEqual([200, 'vec', 256])
      expect(await vectors('tiny')).toEqual([200, 'mac', 256])
      await setDrained(gateway.machine, 'mac', true)
      expect(await vectors('shared')).toEqual([501, 'gpu', undefined])
      await setDrained(gateway.machine, 'mac', false)
    })

    test('the server that answers to any name is asked for its own alone', async () => {
      const answer = await fetch(`http://127.0.0.1:${engines.llama.port}/v1/chat/completions`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(chat('gpt-4o')) },
      })
      expect(answer.status).toBe(200)
      expect((await ask(gateway, chat('gpt-4o')))?.status).toBe(404)
    })

    test('what is drained is passed over, and asked again afterwards', async () => {
      for (const [out, left] of [
        ['mac', 'gpu'],
        ['gpu', 'mac'],
      ] as const) {
        await setDrained(gateway.machine, out, true)
        expect(came(await ask(gateway, chat('shared')))).toEqual([200, left])
        expect((await list()).find(({ name }) => name === out)?.state).toBe('drained')
        await setDrained(gateway.machine, out, false)
      }
      expect(came(await ask(gateway, chat('shared'), { host: 'gpu-api' }))).toEqual([200, 'gpu'])
    })

    test('paths that the real server answers beside our rows are closed at the gateway', async () => {
      const open = []
      for (const { name } of atEngine.llamacpp ?? []) {
        const [method = '', path = ''] = name.split(' ')
        const body = method === 'POST' ? { body: '{}', headers: { 'content-type': 'application/json' } } : {}
        const { status } = await fetch(`http://127.0.0.1:${engines.llama.port}${path}`, { method, ...body })
        if (status !== 404) open.push(name)
      }
      for (const name of ['GET /slots', 'GET /props', 'POST /tokenize', 'POST /completion', 'POST /apply-template'])
        expect(open).toContain(name)
      const { address, port, host } = gateway
      const target = { address, port, host, engine: { address, port }, groups: openGroups(gateway.gateway.settings) }
      const checks = hostileChecks(target, gateway.gateway).filter(({ id }) => id.startsWith('hostile.node.'))
      expect(checks.length).toBeGreaterThanOrEqual(atEngine.llamacpp?.length ?? 0)
      const results = await observeAll(checks, gateway.machine)
      expect(results.filter(({ state }) => state !== 'ok')).toEqual([])
    })
  })
})
