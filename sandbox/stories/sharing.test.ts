import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box, Outcome } from '../box/box.ts'
import { scriptCommand } from '../box/layout.ts'
import { checkout, node } from '../box/paths.ts'
import type { Case } from '../clients/cases.ts'
import { setFaults, status as statusOf } from './installed.ts'
import { longChat, openStream } from './stream.ts'
import { at, cannot, expectGreen, installed, lastLog, quickBox, run, titled, told } from './witness.ts'

const model = 'qwen3:0.6b'
const settings = 'models: [qwen3:0.6b, tiny-loop]\ngroups: [agents, native]\naccess: keys\ninference: { parallel: 2 }\n'

describe.skipIf(cannot)(titled('a server that is shared by keys'), () => {
  let box: Box
  const made: Record<string, string> = {}
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, settings, 0o600)
    await installed(box)
  })
  afterAll(() => box?.close())

  const keys = (...words: string[]): Promise<Outcome> => run(box, 'keys.ts', ...words)
  /** Makes a key and remembers it, as its owner would. */
  async function add(name: string, ...limits: string[]): Promise<string> {
    const { code, stdout, stderr } = await keys('add', name, '--json', ...limits)
    expect([code, stderr]).toEqual([0, ''])
    const { key } = JSON.parse(stdout) as { key: string }
    made[name] = key
    return key
  }
  const status = async (key?: string, path = '/v1/models', method = 'GET') =>
    (
      await box.http('laptop', {
        method,
        path,
        host: box.address,
        port: box.port,
        headers: { host: `${box.address}:${box.port}`, ...(key ? { authorization: `Bearer ${key}` } : {}) },
      })
    ).status

  it('proves itself with a key of its own that is gone afterwards', async () => {
    const outcome = await run(box, 'test.ts', '--verbose')
    expectGreen(outcome.code, told(outcome))
    expect(outcome.stdout).toMatch(/✓ An unknown API key is refused/)
    expect(outcome.stdout).toContain('access: keys is set and there is no key, so nobody gets in')
    expect((await run(box, 'apply.ts', '--dry-run')).stdout).toMatch(
      /there is no key, so nobody gets in; make one with/,
    )
    const { stdout } = await keys('list')
    expect(stdout).toContain('There are no keys; make one with: npx tsx keys.ts add NAME')
    expect(await box.run(['cat', `${at(box).keyMaps}/keys.map`])).toMatchObject({ code: 0, stdout: 'none 1\n' })
  })

  it('lets a second person in by one command, which shows the key and what to type', async () => {
    expect(await status()).toBe(401)
    const { stdout } = await keys('add', 'bob', '--concurrent', '2', '--note', 'his laptop', '--qr', '--verbose')
    const key = /rop_\w{36}/.exec(stdout)?.[0] ?? ''
    made.bob = key
    expect(stdout).toContain(`ANTHROPIC_AUTH_TOKEN=${key}`)
    expect(stdout).toContain(`apiKey: '${key}'`)
    expect(stdout).toMatch(/[█▀▄]{10}/)
    expect(stdout).toContain('Their device must be on it first')
    expect(stdout).toMatch(/http:\/\/\S+:\d+\/connect in a browser tells them what to paste/)
    expect(await status(key)).toBe(200)
  })

  it('shows the laptop’s browser who it is there, and its models once it has the key', async () => {
    const page = async (...more: string[]) =>
      (await box.run(['curl', '-sS', ...more, `http://${box.address}:${box.port}/connect`], { on: 'laptop' })).stdout
    const stranger = await page()
    expect(stranger).toMatch(/You are <b>\S+<\/b> on <b>\S+<\/b>, as Tailscale says/)
    expect(stranger).not.toContain(model)
    const known = await page('-u', `x:${made.bob}`)
    expect(known).toContain('Your key is called <b>bob</b>')
    expect(known).toContain(model)
  })

  it('answers the plainest curl with a key that has the group native, and tells one without it why not', async () => {
    const curl = async (key: string, data: string, method = '') => {
      const url = `http://${box.address}:${box.port}/api/generate`
      const line = `curl -sS ${method} ${url} -H "Authorization: Bearer ${key}" -d '${data}'`
      return (await box.run(['/bin/sh', '-c', line], { on: 'laptop' })).stdout
    }
    const both = async (key: string) => [
      await curl(key, `{"model": "${model}", "prompt": "Hello"}`),
      await curl(key, `{\n  "model": "${model}",\n  "prompt": "Why is the sky blue?"\n}`, '-X POST'),
    ]
    for (const said of await both(made.bob ?? '')) expect(said).toMatch(/"response":.*"done":true/s)
    const other = await add('agents-only', '--groups', 'agents')
    for (const said of await both(other)) expect(said).toContain('agents-only may not use the group native')
    expect((await keys('revoke', 'agents-only')).code).toBe(0)
  })

  it('works in the official clients with the key, and says in them why without one it does not', async () => {
    const cases = async (key: string): Promise<Record<string, Case>> => {
      const program = join(checkout, 'sandbox/clients/openai.ts')
      const { stdout } = await box.run([node, '--import', 'tsx', program, `http://${box.address}:${box.port}`, model], {
        on: 'laptop',
        cwd: checkout,
        env: { CLIENT_KEY: key },
      })
      const lines = stdout.trim().split('\n').filter(Boolean)
      return Object.fromEntries(lines.map((line) => JSON.parse(line) as Case).map((one) => [one.name, one]))
    }
    expect((await cases(made.bob ?? '')).chat?.saw).toMatchObject({ why: 'stop' })
    expect((await cases('ollama')).chat?.error).toMatchObject({
      status: 401,
      message: expect.stringContaining('an API key is needed'),
    })
  })

  it('keeps no key anywhere: not in its files, its logs, nor on a command line', async () => {
    const key = made.bob ?? ''
    expect((await box.run(['ps', '-axo', 'args'])).stdout).not.toContain(key)
    const held = await box.run(['grep', '-rl', '--exclude-dir=node_modules', key, box.home])
    expect([held.code, held.stdout]).toEqual([1, ''])
    expect(lastLog(box)).toContain('keys.json')
  })

  it('refuses nonsense before anything is touched, and two of one name', async () => {
    const before = box.read(at(box).keys)
    for (const words of [
      ['add', 'bob'],
      ['add', '../x'],
      ['add', `a b\n"é"${'x'.repeat(300)}`],
      ['add', 'carol', '--expires', '2020-01-01'],
      ['add', 'carol', '--per-minute', 'often'],
      ['add', 'carol', '--per-day', '25h'],
      ['unban', '100.64.0.9'],
      ['rotate', 'nobody'],
      ['frobnicate'],
    ]) {
      const { code, stderr } = await keys(...words)
      expect([code, stderr.trim().split('\n').length], words.join(' ')).toEqual([2, 1])
    }
    expect(box.read(at(box).keys)).toBe(before)
  })

  it('takes bytes a second and a time in the queue where HAProxy has them, and refuses them in one sentence where it has not', async () => {
    const { stdout } = await box.run(['/opt/homebrew/opt/haproxy/bin/haproxy', '-v'])
    const [, major, minor] = /version (\d+)\.(\d+)/.exec(stdout) ?? []
    const version = Number(major) * 100 + Number(minor)
    for (const { limit, value, since, shown } of [
      { limit: '--per-second', value: '7KB', since: 300, shown: '7KB a second' },
      { limit: '--queue', value: '30s', since: 304, shown: '30 s in the queue' },
    ]) {
      const before = [box.read(at(box).keys), box.read(at(box).config)]
      const { code, stdout, stderr } = await keys('limits', 'bob', limit, value)
      if (version < since) {
        expect([code, stderr]).toEqual([
          3,
          expect.stringMatching(/^HAProxy \S+ is too old for --\S+ of the key bob, 3\.\d is needed; .* changed\.\n$/),
        ])
        expect([box.read(at(box).keys), box.read(at(box).config)]).toEqual(before)
      } else {
        expect([code, stdout, stderr]).toEqual([0, expect.stringContaining(shown), ''])
        // Bytes a second are a rule of HAProxy's, so there was a reload.
        expect(box.read(at(box).config).includes('bwlim-out person-7168')).toBe(limit === '--per-second')
        expect(await status(made.bob)).toBe(200)
        expect((await keys('limits', 'bob', limit, 'none')).stdout).not.toContain(shown)
        expect(box.read(at(box).config)).toBe(before[1])
        expectGreen((await statusOf(box)).code, 'status.ts')
      }
    }
  })

  it('lists an address that guesses keys, and lets it in again', async () => {
    expect((await keys('bans')).stdout).toContain('No address is banned.')
    for (let at = 0; at <= 60; at += 1) await status(`rop_${at}`)
    expect(await status('rop_again')).toBe(429)
    const [ban] = JSON.parse((await keys('bans', '--json')).stdout) as { address: string; wrongAMinute: number }[]
    expect(ban?.wrongAMinute).toBe(61)
    expect((await keys('bans')).stdout).toMatch(/^100\.\S+ +61 wrong keys a minute · \d+ s left$/m)
    expect((await keys('unban', ban?.address ?? '')).stdout).toContain(`${ban?.address} is banned no longer.`)
    expect(await status('rop_again')).toBe(401)
  })

  it('lets a stream go on when its key is revoked, and ends exactly that one when told to cut', async () => {
    const [carol, dave] = [await add('carol'), await add('dave')]
    setFaults(box, { tokenDelayMs: 40 })
    const open = (key: string) => openStream(box, longChat(6000), { headers: { authorization: `Bearer ${key}` } })
    const [hers, his] = [await open(carol), await open(dave)]
    await Promise.all([hers.sees('w05'), his.sees('w05')])
    const watched = scriptCommand('status.ts', ['--watch', '--json']).join(' ')
    const { stdout: seen } = await box.run(['sh', '-c', `${watched} | head -n 1`], { cwd: checkout })
    const { running, refusals } = JSON.parse(seen) as { running: { who: string }[]; refusals: object[] }
    expect(running.map(({ who }) => who).sort()).toEqual(['carol', 'dave'])
    expect(refusals[0]).toMatchObject({ status: 401, denied: 'keys' })
    // A reload leaves both streams with the old worker.
    box.write(at(box).settings, `${settings}queue: { max: 63 }\n`, 0o600)
    await installed(box)
    expect((await keys('revoke', 'carol')).stdout).toMatch(/counts no longer\. Answers that run go on/)
    expect([await status(carol), await status(dave)]).toEqual([401, 200])
    const before = hers.text().length
    await expect.poll(() => hers.text().length, { timeout: 30_000 }).toBeGreaterThan(before)
    const { stdout } = await keys('revoke', 'dave', '--cut')
    expect(stdout).toContain('1 running answers were cut.')
    expect(await his.ended).toBe('cut')
    const then = hers.text().length
    await expect.poll(() => hers.text().length, { timeout: 30_000 }).toBeGreaterThan(then)
    hers.hangUp()
    setFaults(box, {})
  })

  it('takes a new key beside the old one for as long as the grace lasts', async () => {
    const old = made.bob ?? ''
    const { stdout } = await keys('rotate', 'bob', '--grace', '1h', '--json')
    const { key } = JSON.parse(stdout) as { key: string }
    expect([await status(old), await status(key)]).toEqual([200, 200])
    const again = JSON.parse((await keys('rotate', 'bob', '--json')).stdout) as { key: string }
    expect([await status(old), await status(key), await status(again.key)]).toEqual([401, 401, 200])
    made.bob = again.key
  })

  it('gives a key with a model list its own models, those that are downloaded later, too', async () => {
    const key = await add('erin', '--models', 'tiny*')
    const names = async () => {
      const { body } = await box.http('laptop', {
        path: '/v1/models',
        host: box.address,
        port: box.port,
        headers: { host: `${box.address}:${box.port}`, authorization: `Bearer ${key}` },
      })
      return (JSON.parse(body) as { data: { id: string }[] }).data.map(({ id }) => id)
    }
    expect(await names()).toEqual(['tiny-loop:latest'])
    expect((await run(box, 'warm-models.ts', 'tiny-think')).code).toBe(0)
    expect((await names()).sort()).toEqual(['tiny-loop:latest', 'tiny-think:latest'])
    // Past all of our scripts: the observer sees it.
    expect((await box.run(['ollama', 'cp', 'tiny-think', 'tiny-copy'])).code).toBe(0)
    await expect.poll(names, { timeout: 60_000 }).toContain('tiny-copy:latest')
    expect((await keys('revoke', 'erin')).code).toBe(0)
  })

  it('shows a key that is made while other settings wait, says so, and refuses its models until they are applied', async () => {
    box.write(at(box).settings, `${settings}queue: { max: 62 }\n`, 0o600)
    for (const name of ['first', 'second']) {
      const { code, stdout, stderr } = await keys('add', name, '--models', 'nothing*')
      expect([code, stderr]).toEqual([
        5,
        expect.stringContaining('until apply.ts is run keys with a model list may be'),
      ])
      expect(await status(/rop_\w{36}/.exec(stdout)?.[0])).toBe(503)
    }
    expect((await keys('revoke', 'first', '--cut')).stdout).toContain('0 running answers were cut')
    expect((await run(box, 'apply.ts')).code).toBe(0)
    expect((await keys('revoke', 'second')).code).toBe(0)
  })

  it('sees a map that someone edited, names it and heals it', async () => {
    box.write(`${at(box).keyMaps}/keys.map`, '', 0o600)
    expect((await statusOf(box)).of('haproxy.keys')).toMatchObject({
      state: 'missed',
      saw: expect.stringContaining('is not what the keys give'),
    })
    await installed(box)
    expect(await status(made.bob)).toBe(200)
  })

  it('takes over the keys of an nginx gateway, and gives its own out as hashes', async () => {
    box.write(
      'api_keys.conf',
      `"Bearer an-old-key-of-nginx" 1;\n"Bearer a-key-that-ended" '0';\ninclude more;\n`,
      0o600,
    )
    const brought = await keys('import', `${box.home}/api_keys.conf`)
    expect([brought.code, brought.stdout]).toEqual([5, expect.stringContaining('imported-1')])
    expect(brought.stderr).toContain('line 2: nginx refuses this key')
    expect(brought.stderr).toContain('line 3: the file "more" is not read')
    expect(await status('an-old-key-of-nginx')).toBe(200)
    expect(await status('a-key-that-ended')).toBe(401)
    const { stdout } = await keys('export')
    expect(Object.keys((JSON.parse(stdout) as { keys: object }).keys)).toEqual(['bob', 'imported-1'])
    expect(stdout).not.toContain('an-old-key')
  })

  it('warns of the power of an admin key, and lets it alone delete a model', async () => {
    const { code, stdout, stderr } = await keys('add', 'admin', '--admin', '--json')
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^This key may download, delete, .*\n$/)])
    const { key } = JSON.parse(stdout) as { key: string }
    const remove = async (by?: string) => {
      const { status } = await box.http('laptop', {
        method: 'DELETE',
        path: '/api/delete',
        host: box.address,
        port: box.port,
        headers: { host: `${box.address}:${box.port}`, ...(by ? { authorization: `Bearer ${by}` } : {}) },
        body: '{"model":"tiny-think"}',
      })
      return status
    }
    expect([await remove(made.bob), await remove(key), await remove(key)]).toEqual([403, 200, 404])
    expect((await keys('limits', 'bob', '--admin')).code).toBe(2)
    expect((await keys('list')).stdout).toMatch(/^admin .*ADMIN: may change the models$/m)
    expect((await keys('revoke', 'admin')).code).toBe(0)
  })

  it('holds after the proxy crashed', async () => {
    await box.run(['launchctl', 'kickstart', '-k', `gui/${box.state().uid}/com.haproxy`])
    await expect.poll(() => status(made.bob).catch(() => 0), { timeout: 60_000 }).toBe(200)
    expect(await status()).toBe(401)
  })

  it('lets in without a key whom a rule of people means, and proves that a header makes nobody somebody', async () => {
    box.mac(({ tailscale }) => {
      tailscale.peers = [{ hostName: 'laptop', ipv4: '100.64.0.7', userId: 2, id: 'nLaptop', nodeId: 2 }]
      tailscale.users = [{ id: 2, loginName: 'Ann@example.com', displayName: 'Ann' }]
    })
    const either = (people: string) =>
      box.write(at(box).settings, `${settings}access: either\npeople: ${people}\n`.replace('access: keys\n', ''), 0o600)
    either('{ ann@example.com: { groups: [metadata, openai] } }')
    const applied = await run(box, 'apply.ts')
    expect(applied.code, told(applied)).toBe(0)
    expect([await status(), await status(undefined, '/api/generate', 'POST'), await status('rop_wrong')]).toEqual([
      200, 403, 401,
    ])
    expect((await statusOf(box)).of('haproxy.identities')).toMatchObject({
      state: 'ok',
      saw: expect.stringMatching(/^1 addresses have a rule; \d+ s old$/),
    })
    box.write(`${at(box).keyMaps}/people.map`, '', 0o600)
    await box.run(['launchctl', 'kickstart', '-k', `gui/${box.state().uid}/com.haproxy.observer`])
    await expect
      .poll(() => box.read(`${at(box).keyMaps}/people.map`), { timeout: 60_000 })
      .toMatch(/^100\.64\.0\.7 ann@example\.com\|/)
    const proof = await run(box, 'test.ts', '--verbose', '--only', 'keys')
    expect(proof.stdout).toMatch(/✓ Nobody becomes somebody by a header/)
    either('{ bob@example.com: {} }')
    const { stdout } = await run(box, 'apply.ts')
    expect([stdout.includes('map edit:'), stdout.includes('reload:'), await status()]).toEqual([true, false, 401])
  })
})
