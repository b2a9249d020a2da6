import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { packages } from '../box/packages.ts'

afterEach(() => vi.unstubAllEnvs())

test('HAProxy comes from the distribution once for all who ask at once, and a torn cache is made anew', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'packages-'))
  vi.stubEnv('XDG_CACHE_HOME', cache)
  vi.stubEnv('HAPROXY', '')
  try {
    const [first, second] = await Promise.all([packages(['haproxy']), packages(['haproxy'])])
    expect(first.root).toBe(second.root)
    rmSync(first.bin('haproxy'))
    const { bin, libraryPath } = await packages(['haproxy'])
    expect(bin('haproxy').startsWith(cache)).toBe(true)
    const said = execFileSync(bin('haproxy'), ['-v'], { env: { LD_LIBRARY_PATH: libraryPath }, encoding: 'utf8' })
    expect(said).toMatch(/^HAProxy version \d/)
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
})

test('HAPROXY names another HAProxy, and one that cannot be run is refused', async () => {
  vi.stubEnv('HAPROXY', '/bin/cat')
  const { bin, libraryPath } = await packages(['haproxy'])
  expect([bin('haproxy'), libraryPath]).toEqual(['/bin/cat', ''])
  vi.stubEnv('HAPROXY', '/nowhere/haproxy')
  await expect(packages(['haproxy'])).rejects.toThrow('HAPROXY=/nowhere/haproxy is not a program that can be run.')
})

test('a program that this machine has is taken as it is', async () => {
  const { bin } = await packages(['util-linux'])
  expect(bin('nsenter')).toMatch(/\/nsenter$/)
  expect(() => bin('no-such-program')).toThrow('neither in the packages')
})
