import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { issued } from '../../test/certificates.ts'
import { type Host, realHost } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { parseSettings } from '../site/settings.ts'
import { keptFinding } from './checks.ts'
import { judge } from './judge.ts'
import { heldRoot, keepRoot, makeRoot, placeholder, rootFile } from './own-ca.ts'
import { factsIn, isAuthority } from './pair.ts'
import { isPlaceholder, memories, renew } from './renew.ts'
import { heldFor, pemFile } from './served.ts'

let host: Host
beforeEach(() => {
  host = { ...realHost(), system: 'mac', home: mkdtempSync(join(tmpdir(), 'own-ca-')) }
})
afterEach(() => rmSync(host.home, { recursive: true, force: true }))

const settings = (names: string[]) =>
  parseSettings(JSON.stringify({ tls: Object.fromEntries(names.map((name) => [name, 'own-ca'])) }), 'settings.yaml')

/** Whether a client that trusts the root takes what is served for a name; in openssl's words when it does not. */
async function trusted(name: string, pem: string, as = name): Promise<string> {
  const file = join(host.home, 'leaf.pem')
  writeFileSync(file, pem)
  try {
    return execFileSync(
      'openssl',
      ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', as, '-CAfile', rootFile(host), file],
      { encoding: 'utf8', stdio: 'pipe' },
    )
      .replace(/.*: /, '')
      .trim()
  } catch (error) {
    return `${(error as { stderr: string }).stderr}`
  }
}

it('a small authority makes a root once, and certificates that clients who trust it take', async () => {
  const wanted = settings(['studio.lan', '*.lab.lan'])
  for (const name of ['studio.lan', '*.lab.lan']) {
    expect(await renew(host, wanted, name)).toBe(true)
    expect(await renew(host, wanted, name)).toBe(false)
    const text = (await host.read(pemFile(host, name))) ?? ''
    expect(judge(text, { name, source: 'here' }).names).toEqual([name])
    expect(await trusted(name, text, name.replace('*', 'any'))).toBe('OK')
  }
  expect(
    [await trusted('studio.lan', (await host.read(pemFile(host, 'studio.lan'))) ?? '', 'other.lan')].join(),
  ).toMatch(/hostname mismatch/)
  for (const file of ['root.pem', 'root.key'])
    expect(statSync(join(places(host).state, 'own-ca', file)).mode & 0o777).toBe(0o600)
  expect(await host.list(join(places(host).state, 'own-ca'))).toEqual(['names', 'root.key', 'root.pem'])
})

it('the root is good for our names only, and for no address: whoever steals its key cannot be somebody else', async () => {
  await makeRoot(host, ['studio.lan'])
  const key = (await host.read(join(places(host).state, 'own-ca', 'root.key'))) ?? ''
  const root = { certificate: (await host.read(rootFile(host))) ?? '', key }
  const stolen = (names: string[]) => issued(names, { by: root }).leaf.certificate
  expect(await trusted('bank.example', stolen(['bank.example']))).toMatch(/permitted subtree violation/)
  expect(await trusted('studio.lan', stolen(['studio.lan', 'bank.example']))).toMatch(/permitted subtree violation/)
  expect(await trusted('studio.lan', stolen(['studio.lan']))).toBe('OK')
  const below = issued(['studio.lan'], { by: issued(['x'], { by: root }).middle })
  expect(await trusted('studio.lan', below.leaf.certificate)).not.toBe('OK')
})

it('a name that came later is refused in a sentence until there is a new root, which signs every name anew', async () => {
  await renew(host, settings(['studio.lan']), 'studio.lan')
  const before = await heldFor(host, 'studio.lan')
  const both = settings(['studio.lan', 'nas.lan'])
  await expect(renew(host, both, 'nas.lan')).rejects.toThrow(
    /the root of this machine may sign for studio\.lan only; .*certificates root --new/,
  )
  expect((await memories(host))['nas.lan']?.trial?.fault).toMatch(/may sign for studio\.lan only/)
  await makeRoot(host, ['studio.lan', 'nas.lan'])
  for (const name of ['nas.lan', 'studio.lan']) expect(await renew(host, both, name, { now: true })).toBe(true)
  expect((await heldFor(host, 'studio.lan'))?.serial).not.toBe(before?.serial)
  expect((await memories(host))['nas.lan']).toEqual({ from: 'own-ca' })
  for (const name of ['nas.lan', 'studio.lan'])
    expect(await trusted(name, (await host.read(pemFile(host, name))) ?? '')).toBe('OK')
})

it('a certificate is made anew when a third of its life is left', async () => {
  const wanted = settings(['studio.lan'])
  await renew(host, wanted, 'studio.lan')
  const held = await heldFor(host, 'studio.lan')
  const days = ((held?.until.getTime() ?? 0) - Date.now()) / 86_400_000
  expect(Math.round(days)).toBe(90)
  const root = {
    certificate: (await host.read(rootFile(host))) ?? '',
    key: (await host.read(join(places(host).state, 'own-ca', 'root.key'))) ?? '',
  }
  const old = issued(['studio.lan'], { by: root, begins: -61 * 86_400_000, days: 29 })
  await host.write(pemFile(host, 'studio.lan'), `${old.leaf.certificate}${old.leaf.key}`)
  expect(await renew(host, wanted, 'studio.lan')).toBe(true)
  expect(await renew(host, wanted, 'studio.lan')).toBe(false)
})

it('a placeholder is known as one, and no certificate that anybody trusts', async () => {
  await makeRoot(host, ['studio.lan'])
  const pem = (await placeholder(host, 'studio.lan')) ?? ''
  const facts = factsIn(pem)
  expect(facts && isPlaceholder(facts)).toBe(true)
  expect(await trusted('studio.lan', pem)).toMatch(/self-signed certificate/)
})

it('the root of the other gateway takes the place of one’s own, and apply replaces what that one signed', async () => {
  const [wanted, name] = [settings(['ai.lan']), 'ai.lan']
  await makeRoot(host, [name])
  const theirs = await heldRoot(host)
  await makeRoot(host, [name])
  await renew(host, wanted, name)
  expect((await keptFinding(host, wanted, name)).is).toBe('ok')
  if (theirs) await keepRoot(host, theirs)
  expect(await heldRoot(host)).toEqual(theirs)
  expect(await keptFinding(host, wanted, name)).toMatchObject({
    saw: 'the certificate for ai.lan is not from the root that this machine has now',
  })
  await renew(host, wanted, name, { now: true })
  expect((await keptFinding(host, wanted, name)).is).toBe('ok')
  expect(await trusted(name, (await host.read(pemFile(host, name))) ?? '')).toBe('OK')
})

it('an authority is one with its own key; anything else is none', async () => {
  await makeRoot(host, ['ai.lan'])
  const root = await heldRoot(host)
  await makeRoot(host, ['ai.lan'])
  const other = await heldRoot(host)
  await renew(host, settings(['ai.lan']), 'ai.lan')
  const leaf = (await host.read(pemFile(host, 'ai.lan'))) ?? ''
  if (!root || !other) throw new Error('no root was made')
  expect(isAuthority(root)).toBe(true)
  expect(isAuthority({ ...root, key: other.key })).toBe(false)
  expect(isAuthority({ ...root, key: 'no key' })).toBe(false)
  expect(isAuthority({ ...root, certificate: 'none' })).toBe(false)
  expect(isAuthority({ certificate: leaf, key: leaf })).toBe(false)
})
