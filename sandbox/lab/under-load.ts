import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { swap } from '../../lib/haproxy/reload.ts'
import { sha256 } from '../../lib/host/command.ts'
import { renewNodes } from '../../lib/nodes/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { parseSettings } from '../../lib/site/settings.ts'
import { chat } from './asking.ts'
import { type Engine, startEngine } from './engine.ts'
import type { RunningGateway } from './gateway.ts'
import { dial, request } from './raw.ts'
import { type Answer, json } from './recorder.ts'

/** An engine that works a few ms, and counts how many requests it works on at once. */
export interface Counting {
  engine: Engine
  peak: number
  /** numbers of the requests that it worked on */
  ran: number[]
}

/** Starts one that has these models. Of what it was asked it keeps the numbers alone. */
export async function counting(name: string, models: string[]): Promise<Counting> {
  const one: Counting = { engine: await startEngine(name, 'ollama', models), peak: 0, ran: [] }
  let now = 0
  const work: Answer = async (wire, asked) => {
    now += 1
    one.peak = Math.max(one.peak, now)
    one.ran.push((JSON.parse(`${asked.body}`) as { id: number }).id)
    one.engine.asked.length = 0
    one.engine.recorder.received.length = 0
    await pause(2 + (one.ran.length % 7))
    now -= 1
    await json(`{"from":"${name}"}`)(wire, asked)
  }
  one.engine.answers = work
  return one
}

/** Asks again and again over connections that are kept for some fifty requests, as clients do. */
async function asker(gateway: RunningGateway): Promise<{ send(text: string): Promise<number>; hangUp(): void }> {
  let [client, count] = [await dial(gateway), 0]
  const anew = async () => {
    client.hangUp()
    ;[client, count] = [await dial(gateway), 0]
  }
  const once = async (text: string): Promise<number> => {
    client.send(request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`], text))
    count += 1
    const reply = (await client.settled(count, 60_000))[count - 1]
    if (reply) return reply.whole ? reply.status : 0
    // A kept connection that ends before a request comes is begun anew, as every client does; what it sent ran nowhere.
    const kept = count > 1
    await anew()
    return kept ? once(text) : 0
  }
  return {
    async send(text) {
      const status = await once(text)
      if (client.end() !== 'open' || count > 50) await anew()
      return status
    },
    hangUp: () => client.hangUp(),
  }
}

export interface Load {
  clients: number
  /** which model a request asks for, by its number */
  model(at: number): string
  /** so many requests at least */
  least: number
  /** what goes on meanwhile; the number of requests so far is told */
  work?(sofar: () => number): Promise<void>
}

/** So many clients ask one request after the other until the work is done; gives the statuses of all that was asked, 0 for an answer that was not whole or did not come. */
export async function under(gateway: RunningGateway, { clients, model, least, work }: Load): Promise<number[]> {
  const seen: number[] = []
  let going = true
  const loop = async (at: number) => {
    const one = await asker(gateway)
    while (going || seen.length < least) seen.push(await one.send(JSON.stringify(chat(model(at + seen.length)))))
    one.hangUp()
  }
  const all = Promise.all(Array.from({ length: clients }, (_, at) => loop(at)))
  try {
    await work?.(() => seen.length)
  } finally {
    going = false
  }
  await all
  return seen
}

/** Those that were not answered as they should be. */
export const lost = (seen: number[]): number[] => seen.filter((status) => status !== 200)

/** Gives a running gateway other settings, as `rop apply` does: what its nodes have is asked first, then a new worker takes over. */
export async function reconfigure(gateway: RunningGateway, yaml: string): Promise<void> {
  const { config } = places(gateway.home)
  const { nodes } = parseSettings(yaml, 'settings.yaml')
  await renewNodes(gateway.machine, { ...gateway.gateway.settings, nodes })
  const receipt = { ...emptyReceipt(), files: { [config]: sha256(readFileSync(config, 'utf8')) } }
  await swap(gateway.machine, { receipt, configuration: gateway.rendered(yaml), haproxy: gateway.program })
}
