import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bodyPattern } from '../../../lib/gateway/policies/models.ts'
import { generateKey, hashKey } from '../../../lib/people/key.ts'
import { type RunningGateway, startGateway } from '../../lab/gateway.ts'
import { json, type Recorder, startRecorder } from '../../lab/recorder.ts'

/** What HAProxy made of a body. */
export interface Judgement {
  status: number
  /** it reached the engine */
  passed: boolean
  /** the model that HAProxy read, in small letters; '' when it read none */
  judged: string
}

export interface Judge {
  ask(body: Buffer): Promise<Judgement>
  stop(): Promise<void>
}

/** What the key may use; the rest of `installed` it may not. */
export const allowed = ['qwen3:0.6b', 'qwen3:latest', 'gemma3:1b']
const installed = [...allowed, 'deepseek-r1:70b', 'llama3.3:latest']

const lists: Record<string, string> = {
  '/api/tags': JSON.stringify({ models: installed.map((name) => ({ name })) }),
  '/v1/models': JSON.stringify({ object: 'list', data: installed.map((id) => ({ id })) }),
}

/** Has every answer tell the model that was judged (in hex: no byte of it can break the header), and a pattern read from elsewhere. */
function altered(text: string, pattern: string): string {
  const told = 'http-after-response set-header x-judged %[var(txn.model),hex] if { var(txn.model) -m found }'
  const reading = /^( *)(?=http-request set-var\(txn\.model\) req\.body)/m
  if (!reading.test(text) || !/-f (?:\\ |\S)+\/body\.re /.test(text))
    throw new Error('the configuration judges no bodies')
  return text.replace(reading, `$1${told}\n$1`).replace(/-f (?:\\ |\S)+\/body\.re /, `-f ${pattern} `)
}

const headers = (gateway: RunningGateway, key: string) => ({
  host: gateway.host,
  authorization: `Bearer ${key}`,
  'content-type': 'application/json',
})

interface Answer {
  status: number
  judged: string
}

function post(gateway: RunningGateway, agent: Agent, key: string, body: Buffer): Promise<Answer> {
  const to = { host: gateway.address, port: gateway.port, method: 'POST', path: '/v1/chat/completions', agent }
  return new Promise((resolve, reject) => {
    const asked = request({ ...to, headers: { ...headers(gateway, key), 'content-length': body.length } }, (answer) => {
      const judged = Buffer.from(`${answer.headers['x-judged'] ?? ''}`, 'hex').toString('latin1')
      answer.resume().on('end', () => resolve({ status: answer.statusCode ?? 0, judged }))
    })
    asked.on('error', reject).end(body)
  })
}

/** What the engine got must be what was sent: judged, and then another body passed on, would be a hole, too. */
function arrived(engine: Recorder, body: Buffer): boolean {
  const got = engine.received.splice(0)
  if (got.some((one) => one.broken || !one.body.equals(body))) throw new Error('the engine got another body')
  return got.length > 0
}

/** A real HAProxy with a key that has a model list, and an engine behind it. Another pattern is for seeing that a weak one is noticed. */
export async function startJudge(pattern = bodyPattern): Promise<Judge> {
  const folder = mkdtempSync(join(tmpdir(), 'judge-'))
  const file = join(folder, 'pattern')
  writeFileSync(file, `${pattern}\n`)
  const engine = await startRecorder((wire, received) => json(lists[received.target])(wire, received))
  const key = generateKey()
  const bob = { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(key) }], models: allowed }
  const gateway = await startGateway({
    enginePort: engine.port,
    settings: 'access: keys',
    registry: { version: 1, keys: { bob } },
    alter: (text) => altered(text, file),
  }).catch(async (error) => {
    await engine.stop()
    rmSync(folder, { recursive: true, force: true })
    throw error
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  engine.received.length = 0
  return {
    async ask(body) {
      const answer = await post(gateway, agent, key, body)
      if (answer.status !== 200 && answer.status !== 403) throw new Error(`HAProxy answered ${answer.status}`)
      return { ...answer, passed: arrived(engine, body) }
    },
    async stop() {
      agent.destroy()
      await gateway.stop()
      await engine.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** HAProxy compares in small letters of ASCII; Ollama's names know no other case. */
const small = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** Whether a name means a model of the key: without the default host and library, with the default tag (Ollama's `types/model/name.go`). */
function permitted(name: string): boolean {
  const plain = small(name).replace(/^(registry\.ollama\.ai\/)?(library\/)?/, '')
  return allowed.includes(plain.includes(':') ? plain : `${plain}:latest`)
}

/** Whether HAProxy let a body through that a decoder reads otherwise or the key may not use, or would have with another list. */
export function isHole({ judged, passed }: Judgement, opinions: (string | null)[]): boolean {
  const models = opinions.filter((model) => model !== null)
  if (passed && !models.every(permitted)) return true
  return (passed || judged !== '') && models.some((model) => small(model) !== judged)
}
