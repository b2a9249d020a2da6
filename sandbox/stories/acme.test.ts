import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { memories, renew } from '../../lib/certificates/renew.ts'
import { pemFile, shownFor } from '../../lib/certificates/served.ts'
import type { Host } from '../../lib/host/host.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { issued } from '../../test/certificates.ts'
import { names } from '../lab/gateway.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { running, type Secured, secured } from '../lab/secured.ts'
import { type Authority, ordering, startAuthority } from '../services/authority.ts'

/** The rest is in acme.long.test.ts. */
let engine: Recorder
let authority: Authority
let at: Secured
let host: Host
const [name = ''] = names

beforeAll(async () => {
  const old = issued([name], { days: 20, begins: -60 * 86_400_000 })
  ;[engine, authority] = await Promise.all([startRecorder(), startAuthority()])
  at = await secured({ enginePort: engine.port }, { [name]: old.pem })
  host = authority.beside(at.gateway.machine)
})
afterAll(async () => {
  await at?.gateway.stop()
  await authority?.stop()
  await engine?.stop()
})

test('a certificate that is due is ordered by DNS from a real authority and served, while a stream runs on', async () => {
  const settings = ordering(authority, host, { [name]: 'acme' })
  const stream = await running(at, engine, name)
  const before = (await shownFor(host, name)).map(({ facts }) => facts?.serial)
  expect(await renew(host, settings, name)).toBe(true)
  const [shown] = await shownFor(host, name)
  expect(shown?.facts?.leaf.issuer).toMatch(/Pebble/)
  expect(before).not.toContain(shown?.facts?.serial)
  expect(await stream.whole()).toBe(true)
  // Not due any more: nothing is ordered again.
  expect(await renew(host, settings, name)).toBe(false)
  expect((await memories(host))[name]).toEqual({ from: 'acme' })
  const kept = execFileSync('find', [join(places(host.home).state, 'acme'), '-type', 'f', '-perm', '/077'], {
    encoding: 'utf8',
  })
  expect(kept).toBe('')

  // Renewed by hand beside us: what lies there is swapped in.
  const lies = execFileSync('find', [places(host.home).state, '-name', `${name}.crt`], { encoding: 'utf8' }).trim()
  const newer = issued([name])
  writeFileSync(lies, newer.chain)
  writeFileSync(lies.replace(/crt$/, 'key'), newer.leaf.key)
  expect(await renew(host, settings, name)).toBe(true)
  expect(readFileSync(pemFile(host, name), 'utf8')).toContain(newer.leaf.certificate.trim())
})
