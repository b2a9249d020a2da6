import { setTimeout as pause } from 'node:timers/promises'
import { ask } from '../sandbox/lab/asking.ts'
import { type Engine, startEngine } from '../sandbox/lab/engine.ts'
import { startGateway } from '../sandbox/lab/gateway.ts'
import { type Answer, json } from '../sandbox/lab/recorder.ts'
import { behind } from './behind.ts'
import type { Haproxy } from './haproxies.ts'
import { goal, head, row, say } from './report.ts'

const people = 9
/** conversations whose beginning an engine remembers */
const remembered = 4
/** bytes that a turn adds */
const turn = 2000

interface Message {
  role: string
  content: string
}

/** An engine that reads all of a conversation but what it remembers of it, at 1 MB a second; `read` counts bytes. */
async function caching(name: string): Promise<{ engine: Engine; read(): number }> {
  const engine = await startEngine(name, 'vllm', ['m'])
  const known = new Map<string, number>()
  let read = 0
  const answers: Answer = async (wire, request) => {
    const { messages } = JSON.parse(`${request.body}`) as { messages: Message[] }
    const whose = messages[0]?.content ?? ''
    const length = messages.reduce((sum, { content }) => sum + content.length, 0)
    const anew = length - (known.get(whose) ?? 0)
    read += anew
    known.delete(whose)
    known.set(whose, length)
    for (const oldest of [...known.keys()].slice(0, Math.max(0, known.size - remembered))) known.delete(oldest)
    await pause(anew / 1000)
    await json()(wire, request)
  }
  return { engine: Object.assign(engine, { answers }), read: () => read }
}

/** KB that engines read for so many turns of everybody. */
async function prefilled(one: Haproxy, affinity: 'on' | 'off', turns: number): Promise<number> {
  const engines = await Promise.all(['n1', 'n2', 'n3'].map(caching))
  const ports = engines.map(({ engine }) => engine.port)
  const settings = behind(ports, 2, `affinity: ${affinity === 'on' ? 'on' : "'off'"}\n`)
  const gateway = await startGateway({ ...one, enginePort: ports[0] ?? 0, settings, withinMs: 60_000 })
  const talk = async (who: number) => {
    const messages: Message[] = [{ role: 'system', content: `conversation ${who}` }]
    for (let at = 0; at < turns; at += 1) {
      messages.push({ role: 'user', content: 'x'.repeat(turn) })
      const reply = await ask(gateway, { model: 'm', messages })
      if (reply?.status !== 200) throw new Error(`a turn got ${reply?.status}: ${reply?.body}`)
      messages.push({ role: 'assistant', content: 'y'.repeat(turn / 4) })
      await pause(20 + ((who * 7 + at * 13) % 40))
    }
  }
  try {
    await Promise.all(Array.from({ length: people }, (_, who) => talk(who)))
    return engines.reduce((sum, { read }) => sum + read(), 0) / 1000
  } finally {
    await gateway.stop()
    for (const { engine } of engines) await engine.recorder.stop()
  }
}

/** What engines need not read again since a conversation stays where it began. */
export async function affinity(found: Haproxy[], turns: number): Promise<void> {
  say(`\n### Conversations: ${people} of ${turns} turns, 3 nodes that remember ${remembered} each\n`)
  head('HAProxy', 'read without affinity', 'with it', 'of that')
  for (const one of found) {
    const [without, by] = [await prefilled(one, 'off', turns), await prefilled(one, 'on', turns)]
    const of = by / without
    row(one.version, `${without.toFixed(0)} KB`, `${by.toFixed(0)} KB`, `×${of.toFixed(2)}`)
    goal(`${one.version} read with affinity, of none’s`, `×${of.toFixed(2)}`, of <= 0.6, 'at most ×0.6')
  }
}
