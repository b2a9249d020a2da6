import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { node } from '../box/paths.ts'
import { eventually } from './await.ts'
import { install, installedBox, installs, job, readyBox, status } from './installed.ts'
import { isNamed, isReplaced, serves } from './other-ollamas.ts'

let box: Box
afterEach(() => box?.close())

describe('an Ollama that is not ours', () => {
  it('a Homebrew service is named, stopped only when told so, and offered back', async (context) => {
    box = await readyBox()
    if (!box.namespaced) return context.skip(`its port 11434 may be somebody else’s there: ${box.why}`)
    await box.run(['brew', 'services', 'start', 'ollama'])
    await serves(box)
    await isNamed(box, /the Homebrew service ollama/)
    expect(await job(box, 'homebrew.mxcl.ollama')).toBeDefined()
    await isReplaced(box, /bring it back with: \S*brew services start ollama$/m)
    expect(await job(box, 'homebrew.mxcl.ollama')).toBeUndefined()
  })

  it('one in a terminal is named with its process, stopped only when told so, and offered back', async () => {
    box = await readyBox()
    const terminal = box.start(['ollama', 'serve'], { env: { OLLAMA_HOST: `127.0.0.1:${box.enginePort}` } })
    await serves(box)
    await isNamed(box, /ollama \(process \d+\) on 127\.0\.0\.1: .*ollama serve/)
    await isReplaced(box, /install\.ts stopped ollama .*ollama serve; start it again as you did before$/m)
    await terminal.done
  })
})

const squat = `require('net').createServer().listen(Number(process.argv[2]), process.argv[1], () => console.log('listens'))`

describe('what leaks in from elsewhere', () => {
  let installed: Box
  beforeAll(async () => {
    installed = await installedBox()
  })
  afterAll(() => installed?.close())

  it('another listener on the port is named, on whatever address', async (context) => {
    if (!installed.namespaced) return context.skip(`a box there has no LAN address: ${installed.why}`)
    const lan = installed.start([node, '-e', squat, '192.168.78.1', String(installed.port)])
    await lan.expect('listens')
    const seen = await status(installed)
    expect(seen.code).toBe(1)
    expect(seen.of('ollama.nobody-else')).toMatchObject({
      state: 'missed',
      saw: expect.stringMatching(/^somebody else listens: node \(process \d+\) on 192\.168\.78\.1$/),
    })
    lan.kill('SIGKILL')
    await lan.done
  })

  it('a listener on every address is named', async (context) => {
    if (!installed.namespaced) return context.skip(`a box there has no ports of its own: ${installed.why}`)
    // Linux lets a wildcard and a single address share a port less often than macOS does.
    for (const label of ['com.ollama', 'com.haproxy']) {
      await installed.run(['launchctl', 'bootout', `gui/501/${label}`])
      await eventually(`${label} is gone`, async () => (await job(installed, label)) === undefined)
    }
    const wild = installed.start([node, '-e', squat, '0.0.0.0', String(installed.port)])
    await wild.expect('listens')
    const { code, stdout } = await installed.script('test.ts', ['--only', 'ollama.nobody-else'])
    expect(stdout).toMatch(/node \(process \d+\) on \*/)
    expect(code).toBe(1)
    wild.kill('SIGKILL')
    await wild.done
    await installs(installed)
  })

  it('a variable of the session that Ollama would take is advice', async () => {
    await installed.run(['launchctl', 'setenv', 'OLLAMA_MODELS', '/Volumes/models'])
    const seen = await status(installed)
    expect(seen.code).toBe(0)
    expect(seen.of('ollama.environment')).toMatchObject({
      state: 'advice',
      saw: expect.stringMatching(/^OLLAMA_MODELS: set for the whole session/),
      remedy: expect.stringContaining('launchctl unsetenv OLLAMA_MODELS'),
    })
    await installed.run(['launchctl', 'unsetenv', 'OLLAMA_MODELS'])
  })

  it('one at which Ollama would crash is a miss, and install.ts stops before anything is changed', async () => {
    await installed.run(['launchctl', 'setenv', 'OLLAMA_ORIGINS', 'chat.example.net'])
    const seen = await status(installed)
    expect(seen.code).toBe(1)
    expect(seen.of('ollama.environment')).toMatchObject({
      state: 'missed',
      saw: expect.stringContaining('OLLAMA_ORIGINS=chat.example.net'),
      remedy: 'launchctl unsetenv OLLAMA_ORIGINS',
    })
    const { code, stderr } = await install(installed)
    expect(stderr).toContain('launchctl unsetenv OLLAMA_ORIGINS')
    expect(code).toBe(1)
    await installed.run(['launchctl', 'unsetenv', 'OLLAMA_ORIGINS'])
    expect(await status(installed)).toMatchObject({ code: 0 })
  })
})
