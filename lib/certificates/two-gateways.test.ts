import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Host, realHost } from '../host/host.ts'
import { heldPair, isPairPem, keepPair, makePair, pairFile } from './two-gateways.ts'

let host: Host
beforeEach(() => {
  host = { ...realHost(), system: 'mac', home: mkdtempSync(join(tmpdir(), 'two-')) }
})
afterEach(() => rmSync(host.home, { recursive: true }))

test('the certificate of a pair signs no other, lies in a file for its owner alone, and nothing else is left', async () => {
  await makePair(host)
  const held = await heldPair(host)
  expect(statSync(pairFile(host)).mode & 0o777).toBe(0o600)
  expect([held?.leaf.ca, isPairPem(held?.text ?? ''), (held?.until.getTime() ?? 0) > Date.now()]).toEqual([
    false,
    true,
    true,
  ])
  const files = execFileSync('find', [host.home, '-type', 'f'], { encoding: 'utf8' })
  expect(files.trim().split('\n')).toEqual([pairFile(host)])
})

test('one that ends within two months is none that lasts', async () => {
  await makePair(host)
  const { until } = (await heldPair(host)) ?? { until: new Date() }
  const day = 86_400_000
  expect(await heldPair(host, until.getTime() - 61 * day)).toBeDefined()
  expect(await heldPair(host, until.getTime() - 59 * day)).toBeUndefined()
})

test('a certificate with another key, and one without, is none that a gateway could show', async () => {
  await makePair(host)
  const one = (await heldPair(host))?.text ?? ''
  await makePair(host)
  const two = (await heldPair(host))?.text ?? ''
  const [certificate, key] = [
    one.slice(0, one.indexOf('-----BEGIN PRIVATE')),
    two.slice(two.indexOf('-----BEGIN PRIVATE')),
  ]
  expect([one, certificate + key, certificate, key, ''].map(isPairPem)).toEqual([true, false, false, false, false])
  await keepPair(host, certificate)
  expect(await heldPair(host)).toBeUndefined()
})
