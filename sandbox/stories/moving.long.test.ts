import { chmodSync, readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { putSettings, readyBox, settingsFile } from './installed.ts'
import { installed } from './witness.ts'

let old: Box
let fresh: Box
const keys: Record<string, string> = {}
const settings =
  '# the settings of the old house\nmodels: [qwen3:0.6b]\naccess: keys\npeople: { ann@example.com: {} }\n'

const rop = (box: Box, ...words: string[]) => box.script('rop.ts', words)
const status = async (box: Box, name: string) => {
  const headers = { host: `${box.address}:${box.port}`, authorization: `Bearer ${keys[name]}` }
  return (await box.http(box.namespaced ? 'laptop' : 'mac', { path: '/v1/models', headers })).status
}
const file = (box: Box) => `${box.home}/saved/house.json`

beforeAll(async () => {
  old = await readyBox()
  putSettings(old, settings)
  await installed(old)
  for (const name of ['ann', 'bob']) {
    const { stdout } = await rop(old, 'keys', 'add', name, '--json')
    keys[name] = (JSON.parse(stdout) as { key: string }).key
  }
})
afterAll(async () => {
  await old?.close()
  await fresh?.close()
})

describe('a backup', () => {
  it('is one file for its owner alone, without a key itself, and says what is in it', async () => {
    expect(await rop(old, 'backup', file(old))).toMatchObject({ code: 2, stderr: expect.stringMatching(/no folder/) })
    old.write('saved/other', '')
    const { code, stdout } = await rop(old, 'backup', file(old))
    expect(code).toBe(0)
    expect(stdout).toMatch(/keys +ann, bob\n[\s\S]*people +ann@example\.com\nNot in it: models/)
    expect(statSync(old.outside(file(old))).mode & 0o777).toBe(0o600)
    for (const key of Object.values(keys)) expect(old.read(file(old))).not.toContain(key)
  })

  it('overwrites nothing, and nothing where others may write, unless it is told to', async () => {
    expect(await rop(old, 'backup', file(old))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/there already/),
    })
    chmodSync(old.outside('saved'), 0o777)
    const open = await rop(old, 'backup', `${old.home}/saved/more.json`)
    expect(open).toMatchObject({ code: 2, stderr: expect.stringMatching(/Others may write in/) })
    expect(await rop(old, 'backup', file(old), '--force')).toMatchObject({ code: 0 })
  })

  it('moves a server to another machine: the keys of the first work on the second', async () => {
    fresh = await readyBox()
    fresh.write(file(fresh), old.read(file(old)), 0o600)
    const { code, stdout } = await rop(fresh, 'restore', file(fresh), '--yes')
    expect(code).toBe(0)
    expect(stdout).toMatch(/settings +From now on a key is asked for; there are \d+\.\n/)
    expect(stdout).toContain('keys that are new here: ann, bob')
    await installed(fresh)
    expect(fresh.read(settingsFile)).toContain('# the settings of the old house')
    expect([await status(fresh, 'ann'), await status(fresh, 'bob')]).toEqual([200, 200])
  })

  it('brings back a revoked key only by its name, and at once', async () => {
    await rop(old, 'keys', 'revoke', 'bob')
    expect(await status(old, 'bob')).toBe(401)
    const dry = await rop(old, 'restore', file(old), '--dry-run')
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/COUNT AGAIN, revoked since[^\n]*: bob\n/) })
    expect(await status(old, 'bob')).toBe(401)
    const { code, stdout, stderr } = await rop(old, 'restore', file(old), '--yes')
    expect(code, stderr).toBe(0)
    expect([await status(old, 'ann'), await status(old, 'bob')]).toEqual([200, 200])
    const copy = /restore '([^']+)'/.exec(stdout)?.[1] ?? ''
    expect(JSON.parse(readFileSync(old.outside(copy), 'utf8'))).toMatchObject({ keys: { keys: { ann: {} } } })
    expect(await rop(old, 'restore', copy, '--yes')).toMatchObject({ code: 0 })
    expect([await status(old, 'ann'), await status(old, 'bob')]).toEqual([200, 401])
  })

  it('that cannot be right changes nothing', async () => {
    const text = old.read(file(old))
    const before = [old.read(settingsFile), old.snapshot('.config')]
    const bad: [string, RegExp][] = [
      ['hello', /was not written by/],
      [text.replace('"version": 1,', '"version": 2,'), /newer remote-ollama-proxy/],
      [text.replace('access: keys', 'access: everybody'), /settings\.yaml in \S+ has 1 fault/],
      [text.replace('"sha256": "', '"sha256": "!'), /is damaged \(keys\.keys\.ann\.hashes/],
    ]
    for (const [wrong, words] of bad) {
      old.write('saved/bad.json', wrong)
      const { code, stderr } = await rop(old, 'restore', `${old.home}/saved/bad.json`, '--yes')
      expect([code, stderr]).toEqual([2, expect.stringMatching(words)])
    }
    expect([old.read(settingsFile), old.snapshot('.config')]).toEqual(before)
  })

  it('whose settings cannot be brought in force leaves what was there, in force', async () => {
    const text = old.read(file(old)).replace('access: keys', 'access: keys\\nport: 22000')
    old.write('saved/port.json', text)
    putSettings(old, `${settings}# mine\n`)
    // Somebody has edited the gateway's configuration, which nobody may replace unasked.
    old.write('.haproxy/haproxy.cfg', `${old.read('.haproxy/haproxy.cfg')}# mine\n`)
    const { code, stderr } = await rop(old, 'restore', `${old.home}/saved/port.json`, '--yes')
    expect([code, stderr]).toEqual([3, expect.stringMatching(/Settings and keys of before are back/)])
    expect(old.read(settingsFile)).toContain('# mine')
    expect(await status(old, 'ann')).toBe(200)
  })
})
