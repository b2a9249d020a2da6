import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box, Running } from '../box/box.ts'
import { shown, textOf } from '../pictures/terminal.ts'
import { answerEach, at, cannot, expectGreen, logs, modest, quickBox, screen, titled } from './witness.ts'

/** What stands on a terminal when all has been written to it. */
const remains = async (running: Running): Promise<string> => textOf(await shown(running.output(), 120))

describe.skipIf(cannot)(titled('what Homebrew and Tailscale say at a terminal'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({
      preset: 'bare',
      mac: { tailscale: { loginAfterMs: 300 }, sudo: { mode: 'password', password: 'secret' } },
    })
    box.write(at(box).settings, modest, 0o600)
  })
  afterAll(() => box.close())

  it('is shown in full where it fails, with the exit code of that', async () => {
    box.mac((mac) => {
      mac.brew.fail = { verb: 'install', name: 'tailscale-app', stderr: 'Error: one\nError: two', code: 1, times: 1 }
    })
    const asked = box.startScript('install.ts', ['--yes'], { tty: true })
    await answerEach(asked, [['Password:', 'secret\r'], ['Press RETURN']])
    expect((await asked.done).code, screen(asked)).toBe(3)
    expect(await remains(asked)).toMatch(/^Error: one\nError: two\n[\s\S]*^Stopped at "Tailscale is installed": /m)
  })

  it('passes in one line otherwise, but for the password and the address of the login', async () => {
    box.mac((mac) => {
      delete mac.sudo.cachedUntil
    })
    const asked = box.startScript('install.ts', ['--yes'], { tty: true })
    await answerEach(asked, [['Password:', 'secret\r']])
    const { code } = await asked.done
    expectGreen(code, screen(asked))
    const seen = await remains(asked)
    expect(seen).not.toMatch(/==> (Downloading|Installing|This script)|successfully installed|^Success/m)
    expect(seen).toMatch(/^To authenticate, visit: https:\/\/login\.tailscale\.com\/a\/\w+$/m)
    expect(
      box.read(`Library/Logs/remote-ollama-proxy/${logs(box).findLast((name) => name.endsWith('install.log'))}`),
    ).toMatch(/==> Installing Cask tailscale-app[\s\S]*successfully installed/)
  })

  it('is all there, line by line, where no line may be written over', async () => {
    await box.run(['brew', 'uninstall', '--cask', 'tailscale-app'])
    const asked = box.startScript('install.ts', ['--yes'], { tty: true, env: { NO_COLOR: '1' } })
    await asked.done
    expect(asked.output()).not.toContain('\u001b')
    expect(screen(asked)).toContain('==> Installing Cask tailscale-app')
  })
})
