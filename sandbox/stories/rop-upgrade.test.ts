import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { listIs, newerHaproxy, rop, running, upgradable } from './upgrading.ts'

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
})
