import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { runningFingerprint } from '../../lib/haproxy/runtime.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { noticed, variants } from '../attacks/mutate/suite.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { startGateway } from '../lab/gateway.ts'
import { dial, request } from '../lab/raw.ts'
import { events, type Recorder, startRecorder } from '../lab/recorder.ts'

const two =
  'nodes: { gpu: { address: 127.0.0.1, port: 9911, engine: vllm }, mac: { address: 127.0.0.1, port: 9912 } }\n'
const behind = { title: 'engines behind it', options: { settings: two } }

/** What must hold of every HAProxy; `npm run versions` runs all stories of the policies with each. */
export function holds(suite: string): void {
  describe(`the HAProxy of Debian’s ${suite}`, () => holding(suite))
}

function holding(suite: string): void {
  let engine: Recorder
  let haproxy: string
  let why: string | undefined

  beforeAll(async () => {
    engine = await startRecorder()
    haproxy = await haproxyOf(suite).catch((error: Error) => {
      why = error.message
      return ''
    })
  })
  beforeEach(({ skip }) => skip(why !== undefined, why))
  afterAll(() => engine?.stop())

  test.each(variants)('does for $title all that is expected of a gateway', async (variant) => {
    const found = await noticed(engine, { ...variant, options: { ...variant.options, haproxy } })
    expect(found).toBeUndefined()
  })

  test.each([...variants, behind])('has no warning about the configuration for $title', async ({ options }) => {
    const gateway = await startGateway({ ...options, haproxy, enginePort: engine.port })
    try {
      const check = promisify(execFile)(haproxy, ['-c', '-dW', '-f', places(gateway.home).config])
      await expect(check).resolves.toBeDefined()
    } finally {
      await gateway.stop()
    }
  })

  test('is reloaded under open streams and loses none', async () => {
    const gateway = await startGateway({ haproxy, enginePort: engine.port })
    engine.answer = events({ count: 60, gap: 20 })
    try {
      const clients = await Promise.all(Array.from({ length: 4 }, () => dial(gateway)))
      const stream = request('POST /v1/messages HTTP/1.1', [`Host: ${gateway.host}`], '{"model":"m"}')
      for (const client of clients) client.send(stream)
      for (const client of clients) expect(await client.sees('"index":3')).toBe(true)
      const configuration = gateway.rendered('inference: { slots: 16 }')
      const receipt = emptyReceipt()
      receipt.files[places(gateway.home).config] = ''
      await swap(gateway.machine, { receipt, configuration, haproxy })
      expect(await runningFingerprint(gateway.machine)).toBe(configuration.fingerprint)
      for (const client of clients) expect((await client.settled())[0]).toMatchObject({ status: 200, whole: true })
    } finally {
      await gateway.stop()
    }
  })
}
