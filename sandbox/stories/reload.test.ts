import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { render } from '../../lib/gateway/config.ts'
import { fault, swap } from '../../lib/haproxy/reload.ts'
import { runningFingerprint } from '../../lib/haproxy/runtime.ts'
import { sha256 } from '../../lib/host/command.ts'
import { ensureIdentityFiles } from '../../lib/people/refresh.ts'
import { places } from '../../lib/platform/mac/places.ts'
import type { Configuration } from '../../lib/site/configuration.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { differences, snapshot } from '../box/snapshot.ts'
import { eventually, freePort, type RunningGateway, startGateway, templates } from '../lab/gateway.ts'
import { dial, exchange, request } from '../lab/raw.ts'
import { events, json, type Recorder, startRecorder } from '../lab/recorder.ts'

let engine: Recorder
let gateway: RunningGateway

beforeAll(async () => {
  engine = await startRecorder()
})
afterAll(() => engine?.stop())
beforeEach(async () => {
  engine.answer = json()
  gateway = await startGateway({ enginePort: engine.port, settings: 'inference: { slots: 32 }' })
})
afterEach(() => gateway?.stop())

const change = (configuration: Configuration) => {
  const receipt = emptyReceipt()
  const text = readFileSync(places(gateway.home).config, 'utf8')
  return {
    receipt: { ...receipt, files: { [places(gateway.home).config]: sha256(text) } },
    configuration,
    haproxy: gateway.program,
  }
}

const other = () => gateway.rendered('inference: { slots: 16 }')
const config = () => readFileSync(places(gateway.home).config, 'utf8')
const answersStill = async () =>
  (await exchange(gateway, request('GET /v1/models HTTP/1.1', [`Host: ${gateway.host}`]))).status

describe('a change of the configuration', () => {
  test('drops none of 20 streams, fails no new request, and is answered by the running worker', async () => {
    engine.answer = events({ count: 150, gap: 20 })
    const stream = request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`], '{"model":"m"}')
    const streams = await Promise.all(Array.from({ length: 20 }, () => dial(gateway)))
    for (const client of streams) client.send(stream)
    for (const client of streams) expect(await client.sees('"index":3')).toBe(true)
    engine.answer = json()
    let swapped = false
    const statuses: number[] = []
    const knocking = (async () => {
      while (!swapped) statuses.push(await answersStill())
    })()
    const next = other()
    await swap(gateway.machine, change(next))
    swapped = true
    await knocking
    expect(await runningFingerprint(gateway.machine)).toBe(next.fingerprint)
    for (const client of streams) {
      const [reply] = await client.settled()
      expect(reply).toMatchObject({ status: 200, whole: true })
      expect(client.bytes().toString()).toContain('"index":149')
    }
    expect(statuses.length).toBeGreaterThan(5)
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(config()).toBe(next.text)
  })

  test('that HAProxy refuses changes nothing, and its complaint is told', async () => {
    const before = snapshot(gateway.home)
    const { text, ...rest } = gateway.rendered('inference: { slots: 8 }')
    const broken = { ...rest, text: text.replace('timeout connect', 'timeout conect') }
    await expect(swap(gateway.machine, change(broken))).rejects.toThrow(
      /refuses the new configuration, so the old one stays: .*conect/,
    )
    expect(differences(before, snapshot(gateway.home))).toEqual([])
    expect(await runningFingerprint(gateway.machine)).toBe(gateway.configuration.fingerprint)
    expect(await answersStill()).toBe(200)
  })

  /** The same gateway with a further address to listen on. */
  const listeningOn = (address: string, port: number): Configuration => {
    const second = { name: 'second', addresses: [address], port, sources: ['127.0.0.0/8'] }
    return render({ ...gateway.gateway, listeners: [...gateway.gateway.listeners, second] }, templates())
  }

  async function comesBack(next: Configuration): Promise<void> {
    const before = config()
    await expect(swap(gateway.machine, change(next))).rejects.toThrow(
      /^The reload did not take: .*The last good configuration is back and answers\.$/,
    )
    expect(config()).toBe(before)
    expect(await runningFingerprint(gateway.machine)).toBe(gateway.configuration.fingerprint)
    await eventually('requests are answered', async () => (await answersStill()) === 200)
    for (const file of Object.keys(gateway.configuration.files))
      expect(readFileSync(file, 'utf8')).toBe(gateway.configuration.files[file])
  }

  test('whose port another process holds goes back to the last good one', async () => {
    const port = await freePort('127.7.7.7')
    const holder = createServer().listen(port, '127.7.7.7')
    await once(holder, 'listening')
    try {
      await comesBack(listeningOn('127.7.7.7', port))
    } finally {
      holder.close()
    }
  })

  test('whose address is on no interface goes back to the last good one, and a later change still works', async () => {
    await comesBack(listeningOn('192.0.2.1', gateway.port))
    const next = other()
    await swap(gateway.machine, change(next))
    expect(await runningFingerprint(gateway.machine)).toBe(next.fingerprint)
  })

  test('keeps the files of the running and of the last good one, and no older ones', async () => {
    const first = other()
    await swap(gateway.machine, change(first))
    const second = gateway.rendered('inference: { slots: 12 }')
    await swap(gateway.machine, change(second))
    const folders = await gateway.machine.list(places(gateway.home).maps)
    expect(folders).toEqual([first, second].map(({ fingerprint }) => fingerprint.slice(0, 12)).sort())
    expect(readFileSync(places(gateway.home).lastGood, 'utf8')).toBe(first.text)
  })
})

test('a home folder whose name holds a blank is understood', async () => {
  const home = `${gateway.home}/Ada Lovelace`
  mkdirSync(places(home).run, { recursive: true })
  const made = render({ ...gateway.gateway, home }, templates())
  const machine = { ...gateway.machine, home }
  for (const [file, text] of Object.entries(made.files)) await machine.write(file, text)
  await ensureIdentityFiles(machine)
  await machine.write(places(home).config, made.text)
  expect(await fault(machine, gateway.program, places(home).config)).toBeUndefined()
})
