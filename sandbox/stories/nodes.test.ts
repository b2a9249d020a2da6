import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { engineLoad } from '../../lib/haproxy/runtime.ts'
import { workersOf } from '../../lib/haproxy/workers.ts'
import { renewNodes, setDrained } from '../../lib/nodes/store.ts'
import { triedVersions } from '../attacks/versions/each.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { type Client, dial, exchange, type Reply, request } from '../lab/raw.ts'
import { json, silent } from '../lab/recorder.ts'

let conversations = 0
/** The beginning of a conversation of its own, unless it has a name. */
const chat = (model: string, name?: string): object => ({
  model,
  messages: [{ role: 'user', content: `This is ${name ?? conversations++}.` }],
})

describe.each(triedVersions)('nodes behind $title', ({ program }) => {
  let mac: Engine
  let gpu: Engine
  let box: Engine
  let gateway: RunningGateway
  let clients: Client[]

  const settings = () => `role: gateway
groups: [agents, native, embeddings]
inference: { slots: 1 }
nodes:
  mac: { address: 127.0.0.1, port: ${mac.port}, slots: 2 }
  gpu: { address: 127.0.0.1, port: ${gpu.port}, slots: 2, speed: 2 }
  box: { address: 127.0.0.1, port: ${box.port}, slots: 2, engine: vllm }
`
  beforeAll(async () => {
    mac = await startEngine('mac', 'ollama', ['both:latest', 'mac-only', 'cold-here'], ['both:latest', 'mac-only'])
    gpu = await startEngine(
      'gpu',
      'ollama',
      ['both:latest', 'gpu-only', 'cold-here'],
      ['both:latest', 'gpu-only', 'cold-here'],
    )
    box = await startEngine('box', 'vllm', ['Qwen/Qwen2.5-7B'])
    gateway = await startGateway({ enginePort: mac.port, settings: settings(), haproxy: await program() })
  })
  afterAll(async () => {
    await gateway?.stop()
    for (const one of [mac, gpu, box]) await one?.recorder.stop()
  })
  beforeEach(async () => {
    clients = []
    await idle()
    for (const [name, one] of Object.entries({ mac, gpu, box }))
      Object.assign(one, { asked: [], other: [], answers: json(`{"from":"${name}"}`) })
  })
  afterEach(() => {
    for (const client of clients) client.hangUp()
  })

  const idle = () => eventually('nothing runs', async () => (await engineLoad(gateway.machine))?.running === 0)
  /** Has the faster node work. An answer that has come may still count there for a moment, and then the other one would be asked. */
  async function busyGpu(): Promise<void> {
    await idle()
    gpu.answers = silent
    await open(chat('both'))
    await eventually('the node works', () => gpu.asked.length === 2)
    gpu.answers = json('{"from":"gpu"}')
  }
  const ask = async (
    body: object,
    { path = '/v1/chat/completions', host = gateway.host, headers = [] as string[] } = {},
  ) => {
    const { replies } = await exchange(
      gateway,
      request(`POST ${path} HTTP/1.1`, [`Host: ${host}`, ...headers], JSON.stringify(body)),
    )
    return replies[0] as Reply
  }
  const open = async (body: object): Promise<Client> => {
    const client = await dial(gateway)
    clients.push(client)
    client.send(request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`], JSON.stringify(body)))
    return client
  }
  const header = (reply: Reply, name: string) => reply.head.headers.find(([given]) => given === name)?.[1]
  const from = (reply: Reply): string => (JSON.parse(reply.body) as { from: string }).from

  test('a request goes to the node that has its model, whatever way that is spelled', async () => {
    expect(from(await ask(chat('mac-only')))).toBe('mac')
    expect(from(await ask(chat('gpu-only:latest')))).toBe('gpu')
    expect(from(await ask(chat('library/gpu-only')))).toBe('gpu')
    expect(from(await ask(chat('Qwen/Qwen2.5-7B')))).toBe('box')
  })

  test('of two that have it loaded and are free the faster one is asked, then whichever has more room', async () => {
    gpu.answers = silent
    mac.answers = silent
    for (const busy of [1, 2, 3, 4]) {
      await open(chat('both'))
      await eventually('it is with an engine', () => gpu.asked.length + mac.asked.length === busy)
    }
    expect([gpu.asked.length, mac.asked.length]).toEqual([2, 2])
  })

  test('a conversation stays where it began, as long as that is not full', async () => {
    const where = async (name: string) => {
      const reply = await ask(chat('both', name))
      return [from(reply), header(reply, 'x-route')]
    }
    expect(await where('a talk')).toEqual(['gpu', 'loaded'])
    await busyGpu()
    expect(await where('a talk')).toEqual(['gpu', 'affinity'])
    expect(await where('another')).toEqual(['mac', 'loaded'])
  })

  test('many that come at once are spread over all slots, and none waits beside a free one', async () => {
    gpu.answers = silent
    mac.answers = silent
    // One thread, since two may choose at the same moment.
    const one = await startGateway({
      ...{ enginePort: mac.port, settings: settings().replaceAll('slots: 2', 'slots: 16'), haproxy: await program() },
      alter: (text) => text.replace('nbthread 2', 'nbthread 1'),
    })
    const [worker = 0] = (await workersOf(one.machine)).map(Number)
    try {
      const crowd = await Promise.all(Array.from({ length: 32 }, () => dial(one)))
      clients.push(...crowd)
      process.kill(worker, 'SIGSTOP')
      for (const client of crowd)
        client.send(request('POST /v1/chat/completions HTTP/1.1', [`Host: ${one.host}`], JSON.stringify(chat('both'))))
      process.kill(worker, 'SIGCONT')
      await eventually('all are with an engine', () => gpu.asked.length + mac.asked.length === 32)
    } finally {
      await one.stop()
    }
  })

  const talk = (...contents: unknown[]) => ({
    model: 'both',
    messages: contents.map((content) => ({ role: 'user', content })),
  })
  const said = (...contents: unknown[]) => talk('You "messages": [{ help }] \\', ...contents)
  const long = 'You are "helpful".\n'.repeat(2000)
  const part = (text: string) => [{ type: 'text', text, cache: { kind: ['a', 'b'] } }]
  test.each([
    ['messages', said('tell 1', 'more'), said('tell 1', 'and', 'more'), said('tell 2', 'more')],
    ['messages in parts', said(part('part 1'), 'x'), said(part('part 1'), 'y', 'z'), said(part('part 2'), 'x')],
    ['long messages', talk(long, 'long 1'), talk(long, 'long 1', 'z'), talk(long, 'long 2')],
    [
      'a key for caches, behind all messages',
      { ...said('key'), prompt_cache_key: 'key 1' },
      { ...said('other key'), prompt_cache_key: 'key 1' },
      { ...said('key'), prompt_cache_key: 'key 2' },
    ],
    [
      'who its user is',
      { metadata: { user_id: 'user 1' }, ...said('user') },
      { ...said('other user'), metadata: { user_id: 'user 1' } },
      { ...said('user'), metadata: { user_id: 'user 2' } },
    ],
    [
      'messages, where those names stand for something else',
      { ...said('names'), user: { user_id: '1', prompt_cache_key: 'x' } },
      { ...said('names', 'more'), user: { user_id: '2', prompt_cache_key: 'y' } },
      { ...said('no names'), user: { user_id: '1', prompt_cache_key: 'x' } },
    ],
  ])('a conversation is told by %s', async (_, begins, goesOn, another) => {
    expect(from(await ask(begins))).toBe('gpu')
    await busyGpu()
    expect(header(await ask(goesOn), 'x-route')).toBe('affinity')
    const reply = await ask(another)
    expect([from(reply), header(reply, 'x-route')]).toEqual(['mac', 'loaded'])
  })

  test.each(['x-claude-code-session-id', 'x-session-id', 'session-id', 'session_id'])(
    'a conversation is told by its session (%s), whatever is said',
    async (name) => {
      const session = { headers: [`${name}: one ${name}`] }
      expect(from(await ask(chat('both'), session))).toBe('gpu')
      await busyGpu()
      expect(header(await ask(chat('both'), session), 'x-route')).toBe('affinity')
      expect(from(await ask(chat('both'), { headers: [`${name}: another ${name}`] }))).toBe('mac')
    },
  )

  const deep = '[{"a":'.repeat(100_000)
  const again = '"messages":[{"content":"'.repeat(20_000)
  test.each([
    ['nested without an end', `{"model":"both","messages":[${deep}`],
    ['nested deeply', `{"model":"both","messages":[${'['.repeat(100_000)}${']'.repeat(100_000)}]}`],
    ['full of beginnings', `{"model":"both",${again}`],
    ['full of quotes', `{"model":"both","messages":[{"content":"${'\\"'.repeat(200_000)}`],
    ['without messages', `{"model":"both","text":"${'messages '.repeat(60_000)}"}`],
  ])('a body that is %s is answered at once', async (_, text) => {
    const { replies } = await exchange(
      gateway,
      request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`], text),
    )
    expect([replies[0]?.status, header(replies[0] as Reply, 'x-route')]).toEqual([200, 'loaded'])
  })

  test('the answer says who served it, and which way it came', async () => {
    const reply = await ask(chat('mac-only'))
    expect([header(reply, 'x-served-by'), header(reply, 'x-route')]).toEqual(['mac', 'loaded'])
  })

  test('a model that nobody has is refused in the words of each family, and no engine is asked', async () => {
    const [v1, api] = [await ask(chat('no-such')), await ask(chat('no-such'), { path: '/api/chat' })]
    expect([v1.status, JSON.parse(v1.body).error.type]).toEqual([404, 'not_found_error'])
    expect([api.status, JSON.parse(api.body).error]).toEqual([404, expect.stringContaining('no-such')])
    expect([...mac.asked, ...gpu.asked, ...box.asked]).toEqual([])
  })

  test('names that begin like one that nobody has are told, of nodes that serve the row', async () => {
    const said = async (model: string, path?: string) =>
      (JSON.parse((await ask(chat(model), { path })).body) as { error: { message: string } & string }).error
    expect((await said('bolh:7b')).message).toContain('/v1/models lists')
    expect((await said('mac-olny')).message).toMatch(/names that begin like it: mac-only\.$/)
    expect(await said('qwen/qwen3', '/api/chat')).not.toContain('Qwen2.5')
    expect((await said('qwen/qwen3')).message).toMatch(/names that begin like it: Qwen\/Qwen2\.5-7B\.$/)
    expect([...mac.asked, ...gpu.asked, ...box.asked]).toEqual([])
  })

  test('rows that an engine has not are never asked of it', async () => {
    const reply = await ask(chat('Qwen/Qwen2.5-7B'), { path: '/api/chat' })
    expect([reply.status, box.asked.length]).toEqual([404, 0])
  })

  test('a node is asked by its own name alone', async () => {
    const host = `mac-api:${gateway.port}`
    expect(from(await ask(chat('both'), { host }))).toBe('mac')
    expect((await ask(chat('gpu-only'), { host })).status).toBe(404)
  })

  test('a model behind all messages is found', async () => {
    const body = { messages: [{ role: 'user', content: 'x'.repeat(300_000) }], model: 'mac-only' }
    expect(from(await ask(body))).toBe('mac')
  })

  test('a node that has gone is passed over for another one that has the model, and never for one that has not', async () => {
    await gpu.recorder.stop()
    const [one, other] = await Promise.all([ask(chat('both')), ask(chat('gpu-only'))])
    expect([one?.status, other?.status]).toEqual([200, 503])
    expect(header(other as Reply, 'retry-after')).toBe('5')
    expect(mac.asked.map(({ model }) => model)).toEqual(['both'])
    await gpu.recorder.start()
    await eventually('it is back', async () => (await ask(chat('gpu-only'))).status === 200)
  })

  test('a node that is drained takes no new requests until it is ready, and what runs there goes on', async () => {
    gpu.answers = silent
    const running = await open(chat('gpu-only'))
    await eventually('it runs', () => gpu.asked.length === 1)
    await setDrained(gateway.machine, 'gpu', true)
    gpu.answers = json('{"from":"gpu"}')
    expect([from(await ask(chat('both'))), (await ask(chat('gpu-only'))).status]).toEqual(['mac', 503])
    const [first] = gpu.asked
    if (first) void json('{"from":"gpu"}')(first.wire, first.request)
    expect((await running.settled(1))[0]?.status).toBe(200)
    await setDrained(gateway.machine, 'gpu', false)
    expect(from(await ask(chat('both')))).toBe('gpu')
  })

  test('models come and go without a reload', async () => {
    mac.models = [...mac.models, 'new-one']
    await renewNodes(gateway.machine, gateway.gateway.settings)
    expect(from(await ask(chat('new-one')))).toBe('mac')
    mac.models = mac.models.filter((name) => name !== 'new-one')
    await renewNodes(gateway.machine, gateway.gateway.settings)
    expect((await ask(chat('new-one'))).status).toBe(404)
  })
})
