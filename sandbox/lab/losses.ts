import type { Host } from '../../lib/host/host.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { keep } from '../../lib/people/store.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Entry, Registry } from '../../lib/site/limits.ts'
import { type RunningGateway, startGateway } from './gateway.ts'
import { type Client, dial, exchange, request } from './raw.ts'
import { type Answer, json, startRecorder } from './recorder.ts'

export const entry = (key: string): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
})

/** A gateway with keys whose engine's messages are streams that never end by themselves. */
export interface Lossy {
  gateway: RunningGateway
  machine: Host
  registry: Registry
  /** makes the gateway know exactly these keys */
  keep(): Promise<void>
  /** the status that a request by this key gets; from an address of its own unless told */
  ask(key: string, from?: string): Promise<number>
  /** a stream by this key, once its first bytes are there */
  stream(key: string): Promise<Client>
  /** how many commands to a worker through the master got no answer, of so many that were sent */
  lost(pid: string, of: number): Promise<number>
  stop(): Promise<void>
}

/** Starts it; of what HAProxy's processes hand each other one in `loses` is lost. */
export async function lossy(loses: number, keys: Record<string, string> = {}): Promise<Lossy> {
  let over = false
  const endless: Answer = async (wire, asked) => {
    if (!asked.target.startsWith('/v1/messages')) return json()(wire, asked)
    wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    while (!over) {
      wire.chunk('data: {}\n\n')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return wire.end()
  }
  const engine = await startRecorder(endless)
  const registry: Registry = {
    version: 1,
    keys: Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, entry(key)])),
  }
  const gateway = await startGateway({ enginePort: engine.port, settings: 'access: keys', registry, loses })
  const { machine } = gateway
  // Sixty wrong keys a minute from one address ban it.
  let asked = 0
  const next = () => {
    asked += 1
    return `127.8.${Math.floor(asked / 30) % 250}.1`
  }
  const head = (key: string) => [`Host: ${gateway.host}`, `Authorization: Bearer ${key}`]
  return {
    gateway,
    machine,
    registry,
    keep: () => keep(machine, registry, gateway.gateway.settings),
    ask: async (key, from = next()) =>
      (await exchange({ ...gateway, from }, request('POST /v1/chat/completions HTTP/1.1', head(key), '{}'))).status,
    async stream(key) {
      const client = await dial(gateway)
      client.send(request('POST /v1/messages HTTP/1.1', head(key), '{"model":"m"}'))
      if (!(await client.sees('data:'))) throw new Error('a stream did not begin')
      return client
    },
    async lost(pid, of) {
      let unheard = 0
      // One after the other: of many at once a busy machine leaves some without an answer that were not lost.
      for (let at = 0; at < of; at += 1) {
        const answer = await machine.ask(places(machine.home).masterSocket, `@!${pid} show info`)
        if (!answer?.includes('Pid: ')) unheard += 1
      }
      return unheard
    },
    async stop() {
      over = true
      await gateway.stop()
      await engine.stop()
    },
  }
}

/** Adds so many keys one after the other and takes each away again; gives what was not answered as the change before it says. */
export async function changeKeys(at: Lossy, count: number): Promise<string[]> {
  const wrong: string[] = []
  for (let number = 0; number < count; number += 1) {
    const [name, key] = [`key-${number}`, generateKey()]
    at.registry.keys[name] = entry(key)
    await at.keep()
    const added = await at.ask(key)
    delete at.registry.keys[name]
    await at.keep()
    const revoked = await at.ask(key)
    if (added !== 200 || revoked !== 401) wrong.push(`${name}: ${added} once added, ${revoked} once revoked`)
  }
  return wrong
}
