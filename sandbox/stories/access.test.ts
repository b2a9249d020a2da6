import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Box, type Machine, namespaces, net } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, installedBox, runningPid, setFaults, worker } from './installed.ts'
import { download, genuine, real, signalRunners, unlessReal } from './real.ts'
import { endless, lasting, longChat, openStream } from './stream.ts'

const possible = namespaces()
const why = 'why' in possible ? possible.why : ''
const enginePort = 11435

let box: Box

beforeAll(async () => {
  if (why) return
  // A port of its own, so that each address tells which of the two answers.
  box = await installedBox({
    settings: `engine: { port: ${enginePort} }\nmodels: []\ninference: { slots: 1 }\n`,
    models: false,
    code: 5,
  })
  await download(box, ['qwen3:0.6b', endless], enginePort)
})
afterAll(() => box?.close())
afterEach(() => box && setFaults(box, {}))

/** What Ollama received, as the stand-in wrote it down. */
interface Row {
  event: 'request' | 'refused' | 'hung-up' | 'answered'
  id: number
  method?: string
  target?: string
  head?: string
}

function journal(): Row[] {
  const lines = readFileSync(join(box.dir, 'ollama-requests.jsonl'), 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Row)
}

const asked = (path: string) => journal().filter((row) => row.event === 'request' && row.target?.startsWith(path))
const hungUp = (id: number) => journal().some((row) => row.event === 'hung-up' && row.id === id)

/** Everything that a connection says until it ends. */
async function everything(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
  })
  await eventually('the connection is over', () => socket.destroyed || socket.readableEnded)
  socket.destroy()
  return text
}

const refusedAt = async (from: Machine, host: string, port: number) =>
  box.dial(from, host, port).then(
    (socket) => {
      socket.destroy()
      return 'connected'
    },
    (error: NodeJS.ErrnoException) => error.code,
  )

describe.skipIf(why)(`who comes in ${why && `(skipped: ${why})`}`, () => {
  it('another machine of the tailnet does', async () => {
    const answer = await box.http('laptop', { path: '/v1/models', headers: { host: `${box.address}:${box.port}` } })
    expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('qwen3:0.6b') })
  })

  it('a neighbour on the LAN with one added route does not: the connection is closed before a byte is read', async () => {
    const request = `GET /api/version HTTP/1.1\r\nHost: ${box.address}:${box.port}\r\n\r\n`
    const said = await box.dial('neighbour', net.mac.tailnet, box.port).then(
      (socket) => {
        socket.write(request)
        return everything(socket)
      },
      (error: NodeJS.ErrnoException) => error.code,
    )
    // It is over as soon as it is made: this side sees the end, or already the beginning fails.
    expect(['', 'ECONNRESET']).toContain(said)
    expect(await refusedAt('neighbour', net.mac.lan, box.port)).toBe('ECONNREFUSED')
  })

  it('nobody reaches Ollama itself', async () => {
    const places = [
      ['laptop', net.mac.tailnet],
      ['neighbour', net.mac.tailnet],
      ['neighbour', net.mac.lan],
    ] as const
    for (const [from, host] of places)
      expect(await refusedAt(from, host, enginePort), `${from} to ${host}`).toBe('ECONNREFUSED')
  })
})

describe.skipIf(why || genuine)(unlessReal('what Ollama sees of a client'), () => {
  const agent = 'claude-cli/2.1.0 (external, cli)'
  const headers = {
    'anthropic-version': '2023-06-01',
    'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14',
    'anthropic-dangerous-direct-browser-access': 'true',
    authorization: 'Bearer secret-of-mine',
    'x-api-key': 'secret-of-mine-too',
    cookie: 'session=1',
    'x-app': 'cli',
    'x-stainless-lang': 'js',
    'x-forwarded-for': '127.0.0.1',
    'user-agent': agent,
    accept: 'application/json',
  }

  it('is the allowed headers alone, its own address as Host, the query as it was, and the body byte for byte', async () => {
    const body = JSON.stringify({
      model: 'qwen3:0.6b',
      max_tokens: 16,
      metadata: { user_id: 'u' },
      system: [{ type: 'text', text: 'Be brief – ü', cache_control: { type: 'ephemeral' } }],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
    })
    const answer = await box.http('laptop', {
      method: 'POST',
      path: '/v1/messages?beta=true',
      headers: { ...headers, host: `studio.tail0lab.ts.net:${box.port}`, 'content-type': 'application/json' },
      body,
    })
    expect(answer.status).toBe(200)
    const seen = asked('/v1/messages').at(-1)
    const [first, ...lines] = (seen?.head ?? '').trimEnd().split('\r\n')
    expect(first).toBe('POST /v1/messages?beta=true HTTP/1.1')
    expect(lines.map((line) => line.toLowerCase()).sort()).toEqual([
      'accept: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'content-type: application/json',
      `host: 127.0.0.1:${enginePort}`,
      `user-agent: ${agent.toLowerCase()}`,
    ])
    expect(JSON.stringify(seen)).not.toContain('secret')
  })
})

describe.skipIf(why || genuine)(unlessReal('a client that hangs up is noticed by Ollama'), () => {
  it('before the first byte', async () => {
    setFaults(box, { silentMs: 600_000 })
    const before = asked('/v1/chat').length
    const stream = await openStream(box, longChat(10))
    const row = await eventually('Ollama has the request', () => asked('/v1/chat')[before])
    stream.hangUp()
    await eventually('Ollama knows of the hang-up', () => hungUp(row.id))
  })

  it('in mid-stream', async () => {
    setFaults(box, { holds: { afterTokens: 8 } })
    const before = asked('/v1/chat').length
    const stream = await openStream(box, longChat(100))
    await stream.sees(' w07')
    const row = await eventually('Ollama has the request', () => asked('/v1/chat')[before])
    stream.hangUp()
    await eventually('Ollama knows of the hang-up', () => hungUp(row.id))
  })

  it('while it waits in the gateway’s queue: Ollama is then never asked', async () => {
    // Else the first one would hold the slot of models that must be loaded, and the second one the other.
    await eventually('the gateway knows that the model is loaded', knowsAsLoaded)
    setFaults(box, { holds: { afterTokens: 8 } })
    const first = await openStream(box, longChat(16))
    await first.sees(' w07')
    const before = asked('/v1/chat').length
    const waiting = await openStream(box, longChat(16))
    await eventually('it waits', async () => (await queued()) === 1)
    waiting.hangUp()
    await eventually('nobody waits', async () => (await queued()) === 0)
    setFaults(box, {})
    expect(await first.ended).toBe('whole')
    expect(asked('/v1/chat').length).toBe(before)
  })

  async function knowsAsLoaded(): Promise<boolean> {
    const id = /^(\d+) .*\/loaded\.map/m.exec(await worker(box, 'show map'))?.[1]
    return id !== undefined && / tiny-loop yes/.test(await worker(box, `show map #${id}`))
  }

  async function queued(): Promise<number> {
    const stdout = await worker(box, 'show stat inference 2 -1')
    const [head = '', row = ''] = stdout.split('\n')
    return Number(row.split(',')[head.replace('# ', '').split(',').indexOf('qcur')])
  }
})

describe.skipIf(why)('an answer that Ollama breaks off', () => {
  it('because its runner died ends as Ollama ends it: cleanly, without [DONE] (a limit that docs/security.md names)', async () => {
    setFaults(box, { runnerDies: { afterTokens: 5 } })
    const stream = await openStream(box, longChat(lasting(50, 4_000)))
    if (real) await stream.sees(' w04').then(() => signalRunners(box, 'KILL'))
    expect(await stream.ended).toBe('whole')
    expect(stream.status()).toBe(200)
    expect(stream.text()).toContain(' w04')
    expect(stream.text()).not.toContain('[DONE]')
  })

  it('because Ollama itself was killed is cut hard, so that no client takes it for whole', async () => {
    setFaults(box, { holds: { afterTokens: 8 } })
    const stream = await openStream(box, longChat(lasting(50, 4_000)))
    await stream.sees(' w07')
    await box.run(['kill', '-9', String(await runningPid(box, 'com.ollama'))])
    expect(await stream.ended).toBe('cut')
    setFaults(box, {})
    await answers(box)
  })
})
