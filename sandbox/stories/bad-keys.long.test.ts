import { chmodSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box, Outcome } from '../box/box.ts'
import { smallDisk } from '../box/disk.ts'
import { status as statusOf } from './installed.ts'
import { at, cannot, installed, quickBox, run, titled, told } from './witness.ts'

describe.skipIf(cannot)(titled('keys on a machine that will not do'), () => {
  let box: Box
  let bob: string
  const maps = () => at(box).keyMaps
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [qwen3:0.6b]\naccess: keys\n', 0o600)
    await installed(box)
    bob = await add('bob')
  })
  afterAll(() => box?.close())

  const keys = (...words: string[]): Promise<Outcome> => run(box, 'keys.ts', ...words)
  async function add(name: string, code = 0): Promise<string> {
    const outcome = await keys('add', name, '--json')
    expect(outcome.code, told(outcome)).toBe(code)
    return (JSON.parse(outcome.stdout) as { key: string }).key
  }
  const names = async () => Object.keys(JSON.parse((await keys('list', '--json')).stdout))
  const answer = async (key: string) => {
    const headers = { host: `${box.address}:${box.port}`, authorization: `Bearer ${key}` }
    return (await box.http('laptop', { path: '/v1/models', host: box.address, port: box.port, headers })).status
  }
  /** One sentence, the right exit code, nothing lost. */
  async function refused(outcome: Outcome, code: number, says: RegExp): Promise<void> {
    expect(
      [
        outcome.code,
        outcome.stderr
          .trim()
          .replace(/^! Since .*\n/, '')
          .split('\n').length,
      ],
      told(outcome),
    ).toEqual([code, 1])
    expect(outcome.stderr).toMatch(says)
    expect([await names(), await answer(bob)]).toEqual([['bob'], 200])
  }

  it.each([
    ['emptied', () => box.write(`${maps()}/keys.map`, '', 0o600)],
    [
      'cut off in the middle',
      () => box.write(`${maps()}/keys.map`, box.read(`${maps()}/keys.map`).slice(0, 40), 0o600),
    ],
    [
      'lengthened by a line and made read-only',
      () => {
        box.write(`${maps()}/keys.map`, `${box.read(`${maps()}/keys.map`)}AB eve|9|1|0\n`, 0o600)
        chmodSync(box.outside(`${maps()}/keys.map`), 0o400)
      },
    ],
    ['opened to everybody', () => chmodSync(box.outside(`${maps()}/keys.map`), 0o644)],
  ])('a map that was %s is named, and the next change of a key heals it', async (_how, spoil) => {
    spoil()
    expect((await statusOf(box)).of('haproxy.keys')).toMatchObject({
      state: 'missed',
      saw: expect.stringContaining('keys.map'),
    })
    expect((await keys('limits', 'bob', '--note', 'again')).code).toBe(0)
    expect((await statusOf(box)).of('haproxy.keys')).toMatchObject({ state: 'ok' })
    expect(await answer(bob)).toBe(200)
  })

  it('keys that others may read are named, and made private by install.ts', async () => {
    chmodSync(box.outside(at(box).keys), 0o644)
    expect((await statusOf(box)).of('files.private')).toMatchObject({ state: 'missed' })
    await installed(box)
    expect((await statusOf(box)).of('files.private')).toMatchObject({ state: 'ok' })
  })

  it('a folder that cannot be written keeps no key that nobody was shown', async () => {
    chmodSync(box.outside(maps()), 0o500)
    try {
      await refused(await keys('add', 'carol'), 3, /\/keys is closed to this user: repair the permissions/)
    } finally {
      chmodSync(box.outside(maps()), 0o700)
    }
  })

  it('two at once are both made, or the later one is told to wait; none is lost', async () => {
    const outcomes = await Promise.all(['d1', 'd2', 'd3'].map(async (name) => ({ name, ...(await keys('add', name)) })))
    for (const outcome of outcomes)
      if (outcome.code !== 0)
        expect([outcome.code, outcome.stderr]).toEqual([3, expect.stringContaining('Another run')])
    const made = outcomes.filter(({ code }) => code === 0).map(({ name }) => name)
    expect(made.length).toBeGreaterThan(0)
    expect((await names()).sort()).toEqual(['bob', ...made])
    for (const { stdout, code } of outcomes)
      if (code === 0) expect(await answer(/rop_\w{36}/.exec(stdout)?.[0] ?? '')).toBe(200)
    for (const name of made) await keys('revoke', name)
  })

  it('a gateway that does not answer is told, and the key holds when it does again', async () => {
    const target = `gui/${box.state().uid}`
    await box.run(['launchctl', 'bootout', `${target}/${labels.gateway}`])
    const outcome = await keys('add', 'erin')
    expect([outcome.code, outcome.stderr]).toEqual([5, expect.stringContaining('holds as soon as the gateway answers')])
    const key = /rop_\w{36}/.exec(outcome.stdout)?.[0] ?? ''
    // A file where the socket was: whoever asks there gets no answer, and the gateway makes its own anew.
    const socket = at(box).adminSocket
    await box.run(['sh', '-c', `rm -f '${socket}' && echo stale > '${socket}'`])
    expect((await keys('limits', 'erin', '--per-minute', '60')).code).toBe(5)
    await box.run(['launchctl', 'bootstrap', target, `${at(box).agents}/${labels.gateway}.plist`])
    await expect.poll(() => answer(key).catch(() => 0), { timeout: 60_000 }).toBe(200)
    expect((await keys('revoke', 'erin')).code).toBe(0)
  })

  it('a socket that is somebody else’s is asked in vain, and the key is kept', async () => {
    const socket = at(box).adminSocket
    const theirs = box.start([
      '/usr/bin/env',
      'node',
      '-e',
      `fs.rmSync('${socket}', { force: true }); require('net').createServer((c) => c.end('hello\\n')).listen('${socket}', () => console.log('listens'))`,
    ])
    await theirs.expect('listens')
    const outcome = await keys('add', 'frank')
    expect([outcome.code, outcome.stderr]).toEqual([5, expect.stringContaining('The change is kept')])
    theirs.kill('SIGKILL')
    await theirs.done
    await box.run(['launchctl', 'kickstart', '-k', `gui/${box.state().uid}/${labels.gateway}`])
    await expect.poll(() => answer(bob).catch(() => 0), { timeout: 60_000 }).toBe(200)
    expect((await keys('revoke', 'frank')).code).toBe(0)
  })

  it('a full disk under the maps keeps no key that nobody was shown', async () => {
    await smallDisk(box, maps(), 0)
    await refused(await keys('add', 'carol'), 1, /could not be written: the disk is full; make room/)
  })
})
