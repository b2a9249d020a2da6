import { afterEach, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { at, cannot, expectGreen, patience, quickBox, run, screen, titled, told } from './witness.ts'

let box: Box
afterEach(() => box?.close())

const calm = { pmset: { ac: { sleep: 0, autorestart: 1 } } }

/** A Mac with Homebrew and nothing of ours, whose Homebrew slept for months. */
async function sleepy(brew: object, more: object = {}): Promise<void> {
  box = await quickBox({ preset: 'brew', mac: { ...calm, tailscale: { loginAfterMs: 300 }, brew, ...more } })
  box.write(at(box).settings, 'models: []\n', 0o600)
}

const slept = { old: { days: 200, unknown: ['tailscale-app'], latest: { ollama: '0.15.0' } } }

/** Nothing was asked of a model, so a green end has exit code 5. */
const green = (code: number, text: string): void => expectGreen(code === 5 ? 0 : code, text)

describe.skipIf(cannot)(titled('a Homebrew whose list of packages is old'), () => {
  it('is refreshed once before the first package, as the plan says', async () => {
    await sleepy(slept)
    const outcome = await run(box, 'install.ts', '--yes', '--verbose')
    green(outcome.code, told(outcome))
    const refreshed = outcome.stdout.split('\n').filter((line) => /brew update$/.test(line))
    expect(refreshed).toEqual([`  ${box.prefix}/bin/brew update`])
    expect(box.state().brew.installed.ollama).toBe(box.state().brew.latest.ollama)
  })

  it('is refreshed at a terminal, too, with one line for what Homebrew says', async () => {
    await sleepy(slept)
    const asked = box.startScript('install.ts', ['--yes'], { tty: true })
    const { code } = await asked.done
    green(code, screen(asked))
    expect(screen(asked).match(/==> Updated Homebrew/g)).toHaveLength(1)
  })

  it('is used as it is, with a word about it, where it cannot be refreshed', async () => {
    const stderr = 'Error: Your local changes would be overwritten by merge.'
    await sleepy({ old: { days: 200 }, fail: { verb: 'update', stderr, code: 1 } })
    const outcome = await run(box, 'install.ts', '--yes')
    green(outcome.code, told(outcome))
    expect(outcome.stdout).toMatch(/^! Homebrew [^\n]*The old list of packages is used, since [^\n]*local changes/m)
  })

  it('is left alone while there is nothing to install', async () => {
    box = await quickBox({ mac: { ...calm, brew: { old: { days: 200 } } } })
    const outcome = await run(box, 'status.ts', '--verbose')
    expect(outcome.stdout).toMatch(/✓ [^\n]*\[packages\.index\]\n\s+nothing is left to install/)
  })
})

describe.skipIf(cannot)(titled('a macOS that Homebrew no longer builds for'), () => {
  const dropped = { bottleless: ['ollama', 'mlx-c'], dependencies: { ollama: ['mlx-c'] }, oldestMacos: 15 }

  it('is named in the plan, before an hour of compiling', async () => {
    await sleepy(dropped, { macos: '14.7' })
    const asked = box.startScript('install.ts', [], { tty: true })
    await asked.expect('Install HAProxy proxy?', patience)
    asked.write('\r')
    await asked.expect('Do this?', patience)
    asked.write('n\r')
    expect((await asked.done).code).toBe(4)
    const [plan = ''] = screen(asked).split('Do this?')
    expect(plan).toMatch(
      /^! Homebrew has no ready-made ollama, mlx-c for macOS 14: compiled here, which may take an hour\.\r?\n {2}→ Upgrade macOS first, /m,
    )
  })

  it('is no matter where there are bottles', async () => {
    await sleepy({ oldestMacos: 15 }, { macos: '14.7' })
    const outcome = await run(box, 'install.ts', '--yes', '--verbose')
    green(outcome.code, told(outcome))
    expect(outcome.stdout).not.toContain('compiled here')
    expect(outcome.stdout).toMatch(/\[packages\.ready-made\]\n\s+ollama, haproxy/)
  })
})
