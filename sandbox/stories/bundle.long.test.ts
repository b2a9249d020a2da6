import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { installedBox } from './installed.ts'

let box: Box
const keys: string[] = []
const into = mkdtempSync(join(tmpdir(), 'bundle-'))
const rop = (...words: string[]) => box.run([`${box.prefix}/bin/rop`, ...words], { cwd: '/' })

const hook = 'http://127.0.0.1:9/hook?token=W3bh00kT0ken'
const settings = `# written by Lovelace for her flat in Pimlico
models: ['qwen3:0.6b']
access: either
log: requests
hosts: [llm.babbage.example]
people:
  grace@github: { per_minute: 50 }
  device:al: { groups: [openai] }
alerts: { webhook: '${hook}' }
`

/** Who and where: people, devices, keys (one has an everyday word for a name, one is short, one is gone), tailnet, host. */
const names = ['ada', 'lovelace', 'pimlico', 'babbage', 'grace', 'augusta', 'al', 'bo', 'inference', 'mallory', 'zoe']
const places = ['tail1234', 'Adas-MacBook', 'studio']

async function added(name: string): Promise<string> {
  const { stdout } = await rop('keys', 'add', name, '--note', 'of my sister Augusta')
  const key = /rop_[A-Za-z0-9_-]+/.exec(stdout)?.[0] ?? ''
  expect(key).not.toBe('')
  keys.push(key)
  return key
}

const asked = (key: string, prompt: string) =>
  box.http(box.namespaced ? 'laptop' : 'mac', {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'user-agent': 'probe' },
    body: JSON.stringify({ model: 'qwen3:0.6b', messages: [{ role: 'user', content: prompt }] }),
  })

beforeAll(async () => {
  const user = (id: number, loginName: string, displayName: string) => ({ id, loginName, displayName })
  const peer = (hostName: string, ipv4: string, userId: number) => ({
    ...{ hostName, ipv4, userId, id: `n${hostName}`, nodeId: userId },
  })
  box = await installedBox({
    settings,
    mac: {
      tailscale: {
        users: [user(2, 'grace@github', 'Grace Hopper'), user(3, 'zoe@example.org', 'Zoe')],
        peers: [peer('al', '100.99.1.2', 2), peer('zoes-phone', '100.99.1.3', 3)],
      },
    },
  })
  for (const name of ['bo', 'inference', 'mallory']) await asked(await added(name), 'a question of my heart')
  await rop('keys', 'revoke', 'mallory')
  await eventually('the log names who is gone', () =>
    /mallory/.test(box.read('Library/Logs/remote-ollama-proxy/haproxy.log')),
  )
})
afterAll(async () => {
  rmSync(into, { recursive: true, force: true })
  await box?.close()
})

const within = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

test('one archive for a bug report, for its owner alone, and none of what tells who, where or by which key', async () => {
  const file = `${box.home}/report.tar.gz`
  const { code, stdout, stderr } = await rop('doctor', '--bundle', file)
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^Written: .*report\.tar\.gz \(\d+ files; nothing was sent\)\./)

  const archive = box.outside(file)
  expect(statSync(archive).mode & 0o777).toBe(0o600)
  execFileSync('tar', ['-xzf', archive, '-C', into])
  const files = within(into)
  const short = files.map((name) => name.slice(into.length + 1).replace('remote-ollama-proxy-bundle/', ''))
  expect(short).toEqual(
    expect.arrayContaining([
      ...['READ-ME.txt', 'checks.json', 'facts.txt', 'haproxy.cfg', 'haproxy.txt', 'keys.json', 'machine.json'],
      ...['settings.yaml', 'jobs/com.haproxy.plist', 'jobs/com.haproxy.txt', 'logs/haproxy.log'],
    ]),
  )
  const texts = files.map((name): [string, string] => [name, readFileSync(name, 'utf8')])
  const hashes = [...box.read('.config/remote-ollama-proxy/keys.json').matchAll(/[0-9A-F]{64}/g)].map(([hash]) => hash)
  expect(hashes.length).toBeGreaterThan(1)
  const secrets = [...keys, ...hashes, ...keys.map((key) => key.slice(4)), 'W3bh00kT0ken', 'of my heart']
  // What stands for an address of a tailnet is one, too, and may be this box's own by chance.
  const { stdout: devices } = await box.run(['ifconfig'])
  const addresses = [...devices.matchAll(/inet6? ([\d.a-f:]+)/g)]
    .map(([, address = '']) => address)
    .filter((address) => !/^(127\.|100\.64\.0\.|::1$|fe80:|fd7a:115c:a1e0::)/.test(address))
  expect(addresses.length).toBeGreaterThan(0)
  for (const [name, text] of texts) {
    for (const secret of [...secrets, ...addresses, ...places, '/Users/ada', box.home])
      expect(text.includes(secret) && `${name} holds ${secret}`).toBe(false)
    for (const one of names) {
      const found = new RegExp(`.{0,40}(?<![\\p{L}\\p{N}])${one}(?![\\p{L}\\p{N}]).{0,40}`, 'iu').exec(text)
      if (!name.endsWith('READ-ME.txt')) expect(found && `${name}: ${found[0]}`).toBeNull()
    }
  }
  // The archive's own heads name the owner and the group of each file (POSIX ustar: 32 bytes each from 265 on).
  expect(gunzipSync(readFileSync(archive)).subarray(265, 329).toString().replaceAll('\0', '')).toBe('')
})

test('and what is in it still tells a maintainer what there is', () => {
  const text = (name: string) => readFileSync(join(into, 'remote-ollama-proxy-bundle', name), 'utf8')
  const { results } = JSON.parse(text('checks.json')) as { results: { id: string; state: string }[] }
  expect(results.filter(({ state }) => state === 'ok').length).toBeGreaterThan(50)
  expect(text('facts.txt')).toMatch(/^\$ sw_vers {3}-> 0\nProductName:/)
  expect(text('haproxy.txt')).toMatch(/> show info\nName: HAProxy[\s\S]*> show proc\n/)
  expect(text('settings.yaml')).toContain('access: either')
  expect(text('logs/haproxy.log')).toMatch(/"who":"NAME\d+".*"address":"|"address":".*"who":"NAME\d+"/)
  expect(text('jobs/com.haproxy.txt')).toContain('state = running')
})

test('a file that is there is not written over', async () => {
  const { code, stderr } = await rop('doctor', '--bundle', `${box.home}/report.tar.gz`)
  expect([code, stderr]).toEqual([3, expect.stringContaining('is there already')])
})
