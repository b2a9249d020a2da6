import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Host, realHost } from '../host/host.ts'
import { clientAuthorityFile, ensureClientAuthority, makeClientCertificate } from './clients.ts'

let host: Host
beforeEach(() => {
  host = { ...realHost(), system: 'mac', home: mkdtempSync(join(tmpdir(), 'clients-')) }
})
afterEach(() => rmSync(host.home, { recursive: true }))

const opened = (file: string, password: string): string =>
  execFileSync('openssl', ['pkcs12', '-in', file, '-passin', `pass:${password}`, '-nodes'], {
    stdio: 'pipe',
  }).toString()

test('a client certificate is a file for its owner alone that its password opens, with key and certificate', async () => {
  const file = join(host.home, 'ann.p12')
  const { sha256, password } = await makeClientCertificate(host, 'ann', file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const pem = opened(file, password)
  expect(pem).toContain('PRIVATE KEY')
  const leaf = new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')))
  expect([leaf.fingerprint256.replaceAll(':', ''), leaf.subject]).toEqual([sha256, 'CN=ann'])
  expect(leaf.checkIssued(new X509Certificate((await host.read(clientAuthorityFile(host))) ?? ''))).toBe(true)
  expect(() => opened(file, 'another')).toThrow()
})

test('nothing is left of the work, and the authority is made once', async () => {
  await ensureClientAuthority(host)
  const authority = await host.read(clientAuthorityFile(host))
  await makeClientCertificate(host, 'bob', join(host.home, 'bob.p12'))
  expect(await host.read(clientAuthorityFile(host))).toBe(authority)
  const left = execFileSync('find', [host.home, '-type', 'f', '-printf', '%f %m\n'])
    .toString()
    .trim()
    .split('\n')
    .sort()
  expect(left).toEqual(['bob.p12 600', 'clients.pem 600', 'root.key 600'])
})
