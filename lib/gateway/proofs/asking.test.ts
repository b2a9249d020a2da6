import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { anthropic } from '../../checks/anthropic.ts'
import { native } from '../../checks/native.ts'
import { openai, quick } from '../../checks/openai.ts'
import { percentile } from '../../checks/performance.ts'
import { streaming } from '../../checks/streaming.ts'
import type { Look, RawAnswer, RawRequest } from '../../host/host.ts'
import { type Check, observe, observeAll } from '../../steps/step.ts'
import { asker, proven, trial } from './asking.ts'
import type { Target } from './target.ts'

const engine = { address: '127.0.0.1', port: 11434 }
const target: Target = {
  ...engine,
  host: '127.0.0.1:11434',
  engine,
  groups: ['openai', 'responses', 'anthropic', 'native'],
  model: { name: 'qwen3:0.6b', capabilities: ['completion'] },
}
const all = (at: Target): Check[] => [...openai(at), ...anthropic(at), ...native(at), ...streaming(at)]

/** A machine that gives this answer to everything, and what it was sent. */
function answering(answer: Partial<RawAnswer>): { look: Look; sent: RawRequest[] } {
  const sent: RawRequest[] = []
  const full: RawAnswer = { end: 'complete', status: 200, headers: {}, body: '', pieces: [], ms: 5, ...answer }
  const probe = async (request: RawRequest) => {
    sent.push(request)
    return full
  }
  return { look: { ...memoryHost(), probe }, sent }
}

/** Fresh ones, since checks of one run share answers. */
const withModel = () => all(target).filter((check) => check.inference)

describe('a check that asks a model', () => {
  it('is skipped with the command that gets one when none is installed', async () => {
    const { look, sent } = answering({})
    for (const check of all({ ...target, model: undefined }).filter((each) => each.inference)) {
      const { state, saw } = await observe(check, look)
      expect([check.id, state, saw]).toEqual([
        check.id,
        'skipped',
        'no model is installed: npx tsx warm-models.ts qwen3:0.6b',
      ])
    }
    expect(sent).toEqual([])
  })

  it('is skipped when its group is closed', async () => {
    const { look, sent } = answering({})
    for (const check of all({ ...target, groups: ['metadata'] }))
      expect(await observe(check, look)).toMatchObject({
        state: 'skipped',
        saw: expect.stringMatching(/^group \w+ is not open$/),
      })
    expect(sent).toEqual([])
  })

  it('is skipped when the model is made for something else', async () => {
    const { look, sent } = answering({})
    for (const check of all({ ...target, model: { name: 'e', capabilities: ['embedding'] } })) {
      if (check.inference) expect((await observe(check, look)).saw).toContain('not made for completion')
    }
    expect(sent).toEqual([])
  })

  it('is skipped, not missed, while the server is busy', async () => {
    const { look } = answering({ status: 429, body: '{}' })
    for (const check of withModel())
      expect([check.id, (await observe(check, look)).state]).toEqual([check.id, 'skipped'])
  })

  it.each([
    ['refused', { end: 'refused', status: 0, error: 'ECONNREFUSED' }, /ECONNREFUSED/],
    ['cut', { end: 'cut', body: 'data: half' }, /cut after 10/],
    ['a timeout', { end: 'timeout', status: 0, ms: 120_000 }, /within 120 s/],
    ['another status', { status: 500, body: '{"error":"boom"}' }, /500 instead of 200: .*boom/],
    ['no JSON', { body: '<html>' }, /no JSON/],
  ] as const)('tells what it saw and what to do after %s', async (_what, answer, saw) => {
    const { look } = answering(answer)
    const [first] = await observeAll(
      openai(target).filter(({ id }) => id === 'openai.chat'),
      look,
    )
    expect(first).toMatchObject({ state: 'missed', saw: expect.stringMatching(saw) })
    expect(first?.remedy).toContain('http://127.0.0.1:11434/v1/chat/completions')
  })
})

describe('a broken model', () => {
  it('is one miss per way in, the rest rests on it', async () => {
    const { look } = answering({ status: 500, body: '{"error":"boom"}' })
    const results = await observeAll(withModel(), look)
    expect(results.filter(({ state }) => state === 'missed').map(({ id }) => id)).toEqual([
      'openai.chat',
      'openai.responses',
      'anthropic.messages',
      'native.chat',
    ])
  })
})

describe('the questions', () => {
  it('ask for 16 tokens at most, before a stream was too quick to be judged, and never load, unload or resize a model', async () => {
    const { look, sent } = answering({ body: '{}' })
    for (const check of all({
      ...target,
      model: { name: 'm', capabilities: ['completion', 'tools', 'thinking', 'vision'] },
    }))
      await observe(check, look)
    const bodies = sent.flatMap(({ body }) => (body?.endsWith('}') ? [JSON.parse(body)] : []))
    for (const body of bodies.filter(({ model }) => model === 'm')) {
      if (body.messages?.length === 0) continue
      const limit = body.max_tokens ?? body.max_output_tokens ?? body.options?.num_predict
      expect(limit).toBeLessThanOrEqual(16)
      expect(body).not.toHaveProperty('keep_alive')
      expect(Object.keys(body.options ?? {}).sort()).toEqual(body.options ? ['num_predict', 'temperature'] : [])
    }
  })

  it('are sent once, however many checks look at the answer', async () => {
    const { look, sent } = answering({ body: '{}' })
    const checks = openai(target).filter(({ id }) => ['openai.chat', 'openai.chat-usage'].includes(id))
    for (const check of checks) await observe(check, look)
    expect(sent).toHaveLength(1)
  })

  it('are no more than 30 for one run', async () => {
    const { look, sent } = answering({ body: '{}' })
    const able = { ...target, groups: target.groups.filter((group) => group !== 'native') }
    for (const check of all({ ...able, model: { name: 'm', capabilities: ['completion', 'tools'] } }))
      if (check.inference) await observe(check, look)
    expect(sent.length).toBeLessThanOrEqual(30)
  })
})

describe('a slow model', () => {
  it('has 120 s for the first answer, less for the others, and is left alone when the time is spent', async () => {
    const { look, sent } = answering({ ms: 40_000 })
    const ask = asker(target, 100_000)
    for (let number = 0; number < 5; number += 1) {
      const question = ask('/v1/chat/completions', { number })
      await observe(
        trial(target, { id: 'a', title: '', group: 'openai', path: '/', answer: question, see: () => proven('') }),
        look,
      )
    }
    expect(sent.map(({ timeoutMs }) => timeoutMs)).toEqual([120_000, 45_000, 20_000])
  })
})

describe('the list of checks', () => {
  it('has an id once', () => {
    const ids = all(target).map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)])
  })

  it('has 20 of the OpenAI family and 6 of the Anthropic family that are no refusals', () => {
    const answers = withModel().map(({ id }) => id)
    const lists = ['openai.models', 'openai.model', 'openai.query-string']
    expect(answers.filter((id) => id.startsWith('openai.')).length + lists.length).toBeGreaterThanOrEqual(20)
    expect(answers.filter((id) => id.startsWith('anthropic.')).length).toBeGreaterThanOrEqual(6)
  })

  it('knows which of them the settings do not open', () => {
    const [chat] = openai({ ...target, groups: ['native'] }).filter(({ id }) => id === 'openai.chat')
    expect(chat?.closed).toBe(true)
    expect(all(target).filter(({ closed }) => closed)).toEqual([])
  })

  it('sends a conversation as long as the settings take, and of 60 KB at most', async () => {
    for (const [bodyLimit, bytes] of [
      [undefined, 60 * 1024],
      [1024, 1024],
      [1024 ** 3, 60 * 1024],
    ]) {
      const { look, sent } = answering({ status: 404 })
      const at = openai({ ...target, bodyLimit })
      await observe(at.find(({ id }) => id === 'openai.large-body') as Check, look)
      expect(sent.map(({ body = '' }) => body.length)).toEqual([bytes])
    }
  })

  it('has the three with which an install ends', () => {
    expect(quick).toHaveLength(3)
    for (const id of quick) expect(withModel().map((check) => check.id)).toContain(id)
  })

  it('says nothing about the native group while it is closed', () => {
    expect(native({ ...target, groups: ['openai'] })).toEqual([])
  })
})

describe('a percentile', () => {
  it('is the nearest rank', () => {
    const values = [5, 1, 4, 2, 3]
    expect([percentile(values, 50), percentile(values, 99), percentile([7], 50), percentile([], 50)]).toEqual([
      3, 5, 7, 0,
    ])
  })
})
