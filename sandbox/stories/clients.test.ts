import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { checkout, node } from '../box/paths.ts'
import type { Case } from '../clients/cases.ts'
import { installedBox, installs, putSettings } from './installed.ts'
import { download, real } from './real.ts'

const model = 'qwen3:0.6b'
const thinker = 'tiny-think'
const story = real
  ? 'Hello from the tiny model: one two three four five café 🙂 <b>&</b> "quoted"\nlast line.'
  : `Hello! This is ${model}. Your message had 2 words.`

let box: Box
let base: string

beforeAll(async () => {
  box = await installedBox()
  base = `http://${box.namespaced ? 'studio.tail0lab.ts.net' : box.address}:${box.port}`
  await download(box, [thinker])
})
afterAll(() => box?.close())

/** Runs one of the programs of sandbox/clients on another machine of the tailnet; gives what each case came to. */
async function cases(name: string): Promise<Record<string, Case>> {
  const program = join(checkout, 'sandbox/clients', `${name}.ts`)
  const on = box.namespaced ? 'laptop' : 'mac'
  const { stdout, stderr } = await box.run([node, '--import', 'tsx', program, base, model, thinker], {
    on,
    cwd: checkout,
  })
  const lines = stdout.trim().split('\n').filter(Boolean)
  expect(lines.length, stderr).toBeGreaterThan(0)
  return Object.fromEntries(lines.map((line) => JSON.parse(line) as Case).map((one) => [one.name, one]))
}

describe('the official openai package', () => {
  let of: Record<string, Case>
  beforeAll(async () => {
    of = await cases('openai')
  })

  it('lists models and retrieves one', () => {
    expect(of.list?.saw).toContain(`model ${model}`)
    expect(of.retrieve?.saw).toBe(model)
  })

  it('chats, as a whole and as a stream', () => {
    expect(of.chat?.saw).toMatchObject({ text: story, why: 'stop', usage: { completion_tokens: expect.any(Number) } })
    expect(of.stream?.saw).toMatchObject({ text: story, why: 'stop', usage: expect.any(Number) })
    expect(of.stream?.saw).toHaveProperty(
      'pieces',
      expect.toSatisfy((count: number) => count > 5),
    )
  })

  it('calls a tool, gives its result back and gets an answer', () => {
    expect(of.tools?.saw).toMatchObject({ asked: 'get_weather', input: { city: expect.any(String) }, why: 'stop' })
  })

  it('gets JSON in JSON mode', () => {
    expect(of.json?.saw).toBeTypeOf('object')
  })

  it('uses responses, as a whole and as a stream', () => {
    expect(of.responses?.saw).toEqual({ status: 'completed', text: story })
    const { types, text } = Object(of.responsesStream?.saw) as { types: string[]; text: string }
    expect(text).toBe(story)
    expect(types[0]).toBe('response.created')
    expect(types.at(-1)).toBe('response.completed')
  })

  it('tells an unknown model as such', () => {
    expect(of.unknownModel?.error).toMatchObject({ kind: 'NotFoundError', status: 404 })
    expect(of.unknownModel?.error?.message).toContain("model 'no-such-model' not found")
  })

  it('shows the gateway’s words where a row is closed, and where the base URL is wrong', () => {
    expect(of.deniedRow?.error).toMatchObject({
      kind: 'PermissionDeniedError',
      status: 403,
      message: '403 Gateway: POST /v1/embeddings is not enabled on this server (group: embeddings).',
    })
    expect(of.baseWithoutV1?.error?.message).toContain('lacks /v1; give this client a base URL that ends in /v1.')
    expect(of.baseWithV1Twice?.error?.message).toContain('has /v1 twice; give this client a base URL without /v1.')
  })
})

describe('the official @anthropic-ai/sdk package', () => {
  let of: Record<string, Case>
  beforeAll(async () => {
    of = await cases('anthropic')
  })

  it('gets a message, as a whole and as a stream with the events in their order', () => {
    expect(of.message?.saw).toMatchObject({ role: 'assistant', type: 'message', why: 'end_turn', text: story })
    expect(of.stream?.saw).toEqual({
      text: story,
      types: [
        'message_start',
        'content_block_start',
        'content_block_delta',
        'content_block_stop',
        'message_delta',
        'message_stop',
      ],
    })
    expect(of.helper?.saw).toBe(story)
  })

  it('calls a tool, gives its result back and gets an answer', () => {
    expect(of.tools?.saw).toMatchObject({ why: 'tool_use', asked: 'get_weather', end: 'end_turn', text: story })
  })

  it('gets the thoughts of a model that thinks', () => {
    expect(of.thinking?.saw).toMatchObject({ types: ['thinking', 'text'], thought: expect.stringContaining('answer') })
  })

  it('lists models', () => {
    expect(of.list?.saw).toContain(model)
  })

  it('tells an unknown model as such', () => {
    expect(of.unknownModel?.error).toMatchObject({ kind: 'NotFoundError', status: 404 })
  })

  it('shows the gateway’s words where a row is closed, and where the base URL is wrong', () => {
    expect(of.deniedRow?.error).toMatchObject({ kind: 'PermissionDeniedError', status: 403 })
    expect(of.deniedRow?.error?.message).toContain('Gateway: POST /v1/messages/count_tokens is not offered')
    expect(of.baseWithV1?.error).toMatchObject({ kind: 'PermissionDeniedError', status: 403 })
    expect(of.baseWithV1?.error?.message).toContain('has /v1 twice; give this client a base URL without /v1.')
  })
})

const denied = (method: string, path: string, group: string) => ({
  kind: 'ResponseError',
  status: 403,
  message: `Gateway: ${method} ${path} is not enabled on this server (group: ${group}).`,
})

describe('the official ollama package', () => {
  it('reads, and is told what is closed: chat by its group, the rest for good', async () => {
    const of = await cases('ollama')
    expect(of.version?.saw).toMatch(/^\d+\.\d+\.\d+$/)
    expect(of.list?.saw).toContain(model)
    expect(of.show?.saw).toContain('completion')
    expect(of.unknownModel?.error).toMatchObject({ status: 404 })
    expect(of.chat?.error).toEqual(denied('POST', '/api/chat', 'native'))
    expect(of.generate?.error).toEqual(denied('POST', '/api/generate', 'native'))
    expect(of.ps?.error).toEqual(denied('GET', '/api/ps', 'status'))
    expect(of.pull?.error).toEqual(
      denied('POST', '/api/pull', 'manage, only for a key made with --admin, where keys are asked for'),
    )
    expect(of.delete?.error).toEqual(
      denied('DELETE', '/api/delete', 'manage, only for a key made with --admin, where keys are asked for'),
    )
  })

  it('chats once the group is opened', async () => {
    putSettings(box, `groups: [agents, native]\nmodels: ['${model}']\n`)
    await installs(box)
    const of = await cases('ollama')
    expect(of.chat?.saw).toEqual({ text: story, why: 'stop' })
    expect(of.stream?.saw).toMatchObject({ text: story })
    expect(of.stream?.saw).toHaveProperty(
      'pieces',
      expect.toSatisfy((count: number) => count > 5),
    )
    expect(of.generate?.saw).toContain(story.slice(0, 20))
    expect(of.delete?.error).toEqual(
      denied('DELETE', '/api/delete', 'manage, only for a key made with --admin, where keys are asked for'),
    )
    expect(of.list?.saw, 'nothing was deleted').toContain(model)
  })
})

describe('the ollama command on another machine', () => {
  const ollama = (...words: string[]) =>
    box.run(['ollama', ...words], { on: box.namespaced ? 'laptop' : 'mac', env: { OLLAMA_HOST: base } })

  it('lists and shows', async () => {
    expect(await ollama('list')).toMatchObject({ code: 0, stdout: expect.stringContaining(model) })
    expect(await ollama('show', model)).toMatchObject({ code: 0, stdout: expect.stringContaining('Capabilities') })
  })

  it('is told that it may not remove', async () => {
    const { code, stderr } = await ollama('rm', model)
    expect(code).toBe(1)
    expect(stderr).toContain('is not enabled on this server (group: manage, only for a key made with --admin')
  })
})
