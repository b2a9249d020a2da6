import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { runningPid, setFaults } from './installed.ts'
import { endlessWords, longChat, openStream, words } from './stream.ts'
import { expectProven, listIs, newerHaproxy, rop, running, tokens, upgradable } from './upgrading.ts'

let box: Box
beforeAll(async () => {
  box = await upgradable()
})
afterAll(() => box?.close())

describe('rop upgrade', () => {
  it('--check finds nothing newer, then what is, and changes nothing', async () => {
    expect(await rop('upgrade', '--check')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Nothing is newer/),
    })
    await listIs({ days: 9 })
    expect((await rop('upgrade', '--check')).stdout).toMatch(/! Homebrew’s list is older than a week/)
    await listIs(undefined)
    const newer = newerHaproxy()
    const { code, stdout } = await rop('upgrade', '--check', '--json')
    expect([code, JSON.parse(stdout)]).toMatchObject([
      1,
      { newer: true, packages: [{ program: 'haproxy', current: newer }, {}, {}] },
    ])
    expect(await running()).not.toBe(newer)
    expect(await rop('upgrade')).toMatchObject({ code: 2, stderr: expect.stringMatching(/rop upgrade --yes/) })
    expect(await rop('upgrade', '--check', '--only', 'haprox')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/did you mean haproxy\?/),
    })
  })

  it('brings the newer HAProxy and Ollama, each with its proof, and no stream loses a word', async () => {
    const newer = box.state().brew.latest.haproxy
    box.mac(({ brew }) => {
      brew.latest.ollama = '0.40.0'
    })
    const master = await runningPid(box, 'com.haproxy')
    setFaults(box, { tokenDelayMs: 2 })
    const stream = await openStream(box, longChat(tokens))
    await stream.sees(' w63')
    const { code, stdout, stderr } = await rop('upgrade', '--yes')
    expectProven(code, `${stdout}\n${stderr}`)
    expect(stdout).toMatch(/HAProxy +\S+ → \S+\n +not tried yet; known to work: \S+ \(all stories, Linux, 2026-/)
    expect(stdout).toMatch(/Upgraded and proven: haproxy, ollama\./)
    expect(await stream.ended).toBe('whole')
    expect(words(stream.text())).toBe(endlessWords(tokens))
    expect([await running(), await runningPid(box, 'com.haproxy')]).toEqual([newer, master])
    expect((await box.http('mac', { host: '127.0.0.1', port: box.enginePort, path: '/api/version' })).body).toContain(
      '0.40.0',
    )
    expect((await rop('status')).code).toBe(0)
  })
})
