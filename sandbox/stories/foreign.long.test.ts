import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { node } from '../box/paths.ts'
import { eventually } from './await.ts'
import { answers, install, installedBox, installs, job, readyBox, status } from './installed.ts'
import { isNamed, isReplaced, serves } from './other-ollamas.ts'
import { expectGreen, patience, told } from './witness.ts'

let box: Box
afterEach(() => box?.close())

describe('Ollama’s own app', () => {
  it('Ollama.app is named, stopped only when told so, and offered back; its own program is then used', async (context) => {
    box = await readyBox({ mac: { ollamaApp: { installed: true } } })
    if (!box.namespaced) return context.skip(`a box there has no /Applications of its own: ${box.why}`)
    await box.run(['open', '-a', 'Ollama'])
    await serves(box)
    await isNamed(box, /Ollama\.app/)
    expect(box.state().ollamaApp.running).toBe(true)
    await isReplaced(box, /bring it back with: launchctl enable gui\/501\/com\.ollama\.ollama; open -a Ollama$/m)
    expect(box.state().ollamaApp.running).toBe(false)
  })

  it('Ollama.app is ended over ssh without asking for a permission that nobody there could give', async (context) => {
    box = await readyBox({ mac: { ollamaApp: { installed: true }, automationMs: 120_000 } })
    if (!box.namespaced) return context.skip(`a box there has no /Applications of its own: ${box.why}`)
    await box.run(['open', '-a', 'Ollama'])
    await serves(box)
    const env = { SSH_CONNECTION: '100.64.0.7 50000 100.64.0.1 22' }
    const outcome = await box.script('install.ts', ['--yes', '--stop-other-ollama'], { env, timeoutMs: patience })
    expectGreen(outcome.code, told(outcome))
    expect(box.state().ollamaApp.running).toBe(false)
    expect(box.read(`${box.dir}/opened.log`)).not.toContain('osascript')
  })
})

/** A property list that starts an Ollama at login, and again whenever it ends. */
const agent = (label: string, program: string, host: string) => `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>Label</key><string>${label}</string>
<key>ProgramArguments</key><array><string>${program}</string><string>serve</string></array>
<key>EnvironmentVariables</key><dict><key>OLLAMA_HOST</key><string>${host}</string></dict>
<key>RunAtLoad</key><true/><key>KeepAlive</key><true/>
</dict></plist>
`

describe('an Ollama that somebody starts again', () => {
  it.each(['0.0.0.0:11434', '100.64.0.1:11434', '[::]:11434'])(
    'as a LaunchAgent on %s is named with it, stopped for good, and offered back',
    async (host) => {
      box = await readyBox()
      if (!box.namespaced) return
      const file = 'Library/LaunchAgents/com.me.llm.plist'
      box.write(file, agent('com.me.llm', '/opt/homebrew/bin/ollama', host), 0o644)
      await box.run(['launchctl', 'bootstrap', 'gui/501', `${box.home}/${file}`])
      await eventually('it listens', async () => {
        const { stdout } = await box.run(['lsof', '-nP', '-iTCP:11434', '-sTCP:LISTEN'])
        return stdout.includes('ollama')
      })
      await isNamed(box, /the LaunchAgent com\.me\.llm \(ollama \(process \d+\) on /)
      await isReplaced(
        box,
        /bring it back with: launchctl enable gui\/501\/com\.me\.llm; launchctl bootstrap gui\/501 '.*com\.me\.llm\.plist'$/m,
      )
      expect(await job(box, 'com.me.llm')).toBeUndefined()
      expect((await box.run(['launchctl', 'print-disabled', 'gui/501'])).stdout).toContain('"com.me.llm" => disabled')
    },
  )

  it('as a LaunchAgent that is not loaded now is named, and is no trouble at the next login', async () => {
    box = await readyBox()
    if (!box.namespaced) return
    box.write(
      'Library/LaunchAgents/com.me.llm.plist',
      agent('com.me.llm', '/opt/homebrew/bin/ollama', '127.0.0.1'),
      0o644,
    )
    await isNamed(box, /the LaunchAgent com\.me\.llm, which starts an Ollama at login/)
    await installs(box, ['--stop-other-ollama'])
    await box.reboot()
    await answers(box)
    expect(await job(box, 'com.me.llm')).toBeUndefined()
    await eventually('all is well', async () => (await status(box)).code === 0)
  })

  it('by a script is ended with the script', async () => {
    box = await readyBox()
    const loop = 'while true; do ollama serve; sleep 1; done'
    const env = { OLLAMA_HOST: `127.0.0.1:${box.enginePort}` }
    box.write('keep.sh', loop, 0o755)
    const script = box.start(['sh', `${box.home}/keep.sh`], { env })
    await serves(box)
    await isNamed(box, /ollama \(process \d+\) on 127\.0\.0\.1: .*ollama serve/)
    await isReplaced(box, /start it again as you did before$/m)
    await script.done
  })

  it('by a loop that somebody typed is told by whom, and nothing else is ended', async () => {
    box = await readyBox()
    const env = { OLLAMA_HOST: `127.0.0.1:${box.enginePort}` }
    const typed = box.start(['bash', '-i'], { env, tty: true })
    typed.write('while true; do ollama serve; done\n')
    await serves(box)
    const { code, stderr } = await install(box, '--stop-other-ollama')
    expect(stderr).toMatch(
      /came back \(ollama .*\): end the loop in bash -i \(process \d+\) with Ctrl-C; then run install/,
    )
    expect(code).toBe(3)
    typed.kill('SIGKILL')
    await typed.done
  })
})

describe('an Ollama in a terminal', () => {
  it('is named with its process, stopped only when told so, and offered back', async () => {
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
