import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findingOf, standingOf } from '../../lib/certificates/checks.ts'
import { factsIn } from '../../lib/certificates/pair.ts'
import { pemFile, shownFor } from '../../lib/certificates/served.ts'
import type { Host } from '../../lib/host/host.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { issued } from '../../test/certificates.ts'
import { eventually, freePort, names } from '../lab/gateway.ts'
import { type RunningObserver, startObserver } from '../lab/observer.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { running, type Secured, secured } from '../lab/secured.ts'

const [name = ''] = names
const day = 86_400_000
let engine: Recorder
let at: Secured
let host: Host
let observer: RunningObserver | undefined
let port: number

beforeAll(async () => {
  engine = await startRecorder()
  at = await secured({ enginePort: engine.port }, { [name]: issued([name], { begins: -80 * day, days: 10 }).pem })
  host = at.gateway.machine
  port = await freePort('127.0.0.1')
  await host.write(
    places(host.home).settings,
    `port: ${at.gateway.port}\nengine: { port: ${engine.port} }\nmetrics: { port: ${port} }\nalerts: { notification: false }\ntls: { ${name}: own-ca }\n`,
  )
})
afterAll(async () => {
  await observer?.stop()
  await at?.gateway.stop()
  await engine?.stop()
})

const served = async () => (await shownFor(host, name))[0]?.facts
const finding = async () => findingOf(await standingOf(host, name), true)

test('what ends soon, and what is on disk and not served, is told of by status', async () => {
  expect(await finding()).toMatchObject({
    is: 'advice',
    saw: expect.stringMatching(/^9 days left, and it is not renewed yet/),
  })
  const before = readFileSync(pemFile(host, name), 'utf8')
  const other = issued([name])
  await host.write(pemFile(host, name), other.pem)
  expect(await finding()).toMatchObject({
    is: 'missed',
    saw: expect.stringMatching(/is on disk, and 127\.\S+ serves /),
  })
  await host.write(pemFile(host, name), before)
})

test('the observer renews it under a running stream, and the metrics tell what is served', async () => {
  const stream = await running(at, engine, name)
  const before = await served()
  observer = await startObserver(at.gateway, port)
  await eventually('a new certificate is served', async () => (await served())?.serial !== before?.serial, 30_000)
  const now = await served()
  expect(now?.leaf.issuer).toMatch(/remote-ollama-proxy of/)
  expect(await finding()).toMatchObject({ is: 'ok', saw: expect.stringMatching(/^(89|90) days left, serial /) })
  const { text = '' } = (await observer.served()) ?? {}
  const door = `name="${name}",at="${at.gateway.address}:${at.port}"`
  expect(text).toContain(
    `gateway_certificate_expires_timestamp_seconds{${door},serial="${now?.serial}"} ${Number(now?.until) / 1000}`,
  )
  expect(text).toContain(`gateway_certificate_stale{${door}} 0`)
  expect(Number(new RegExp(`^gateway_certificate_left_ratio\\{${door}\\} (\\S+)$`, 'm').exec(text)?.[1])).toBeCloseTo(
    1,
    2,
  )
  expect(factsIn(readFileSync(pemFile(host, name), 'utf8'))?.serial).toBe(now?.serial)
  expect(await stream.whole()).toBe(true)
})
