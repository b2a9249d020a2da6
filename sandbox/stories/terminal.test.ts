import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { consentQuestion } from '../../lib/parts/consent.ts'
import { type Box, differences } from '../box/box.ts'
import { scriptCommand } from '../box/layout.ts'
import { checkout, node, program } from '../box/paths.ts'
import { at, cannot, everything, logs, patience, quickBox, run, screen, titled, told } from './witness.ts'

/** Every script that a person may type. */
const scripts = readdirSync(checkout).filter((name) => /^[\w-]+\.ts$/.test(name))

const esc = '\u001b'

/** Colours and weights (SGR), without those that only end one. */
const colour = new RegExp(`${esc}\\[(1|2|3\\d|4\\d|9\\d)m`)

describe.skipIf(cannot)(titled('a script and its terminal'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
  })
  afterAll(() => box.close())

  it.each(['install.ts', 'uninstall.ts'])(
    '%s never hangs where nobody can be asked, and says what to run',
    async (script) => {
      const before = everything(box)
      const outcome = await run(box, script)
      expect(outcome.code, told(outcome)).toBe(2)
      expect(outcome.stderr).toMatch(new RegExp(`^Nobody can be asked here; run \`npx tsx ${script} --yes\`.*\\n$`))
      expect(differences(before, everything(box))).toEqual([])
    },
  )

  it('with --json never asks, even at a terminal', async () => {
    const asked = box.startScript('install.ts', ['--json'], { tty: true })
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(2)
    expect(screen(asked)).toContain('Nobody can be asked here')
  })

  it.each(scripts)('%s --help is its usage, and no run', async (script) => {
    const before = everything(box)
    const outcome = await run(box, script, '--help')
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(outcome.stdout).toMatch(new RegExp(`^Usage: npx tsx ${script}\\b`))
    expect(differences(before, everything(box))).toEqual([])
  })

  it.each(scripts)('%s --version is its version, and no run', async (script) => {
    const before = everything(box)
    const outcome = await run(box, script, '--version')
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/^remote-ollama-proxy \d+\.\d+\.\d+\n$/)
    expect(differences(before, everything(box))).toEqual([])
  })

  const printing: Record<string, string[]> = {
    'install.ts': ['--dry-run', '--yes'],
    'uninstall.ts': ['--dry-run'],
    'test.ts': ['--list'],
    'apply.ts': ['--help'],
    'observer.ts': ['--help'],
    'warm-models.ts': ['--help'],
  }

  it.each(scripts.flatMap((script) => ['true', 'head -n 1'].map((reader) => [script, reader] as const)))(
    '%s | %s ends without a word of it',
    async (script, reader) => {
      const words = scriptCommand(script, printing[script] ?? [])
      const outcome = await box.run(['/bin/sh', '-c', `"$@" | ${reader}`, 'sh', ...words], { cwd: checkout })
      expect([outcome.code, outcome.stderr], told(outcome)).toEqual([0, ''])
    },
  )

  it('warm-models.ts says what it waits for, and how long, where Ollama does not answer', async () => {
    const waiting = box.startScript('warm-models.ts', ['qwen3:0.6b'])
    await waiting.expect(/Waiting until Ollama answers on \S+, 2 minutes at most/, patience)
    waiting.kill('SIGINT')
    await waiting.done
  })

  it('status.ts changes nothing and writes no log', async () => {
    const [before, logged] = [everything(box), logs(box)]
    const outcome = await run(box, 'status.ts')
    expect(outcome.code, told(outcome)).toBe(1)
    expect(differences(before, everything(box))).toEqual([])
    expect([logs(box), outcome.stdout.includes('log: ')]).toEqual([logged, false])
  })

  it('shows colours at a terminal', async () => {
    const shown = box.startScript('status.ts', ['--verbose'], { tty: true })
    await shown.done
    expect(shown.output()).toMatch(colour)
  })

  it('shows no escape code where NO_COLOR is set', async () => {
    const shown = box.startScript('status.ts', ['--verbose'], { tty: true, env: { NO_COLOR: '1' } })
    await shown.done
    expect(shown.output()).toContain('[system.macos]')
    expect(shown.output()).not.toContain(esc)
  })

  it('asks without colours where NO_COLOR is set', async () => {
    const asked = box.startScript('install.ts', [], { tty: true, env: { NO_COLOR: '1' } })
    await asked.expect(consentQuestion, patience)
    asked.write('\r')
    await asked.expect('Which model?', patience)
    asked.write('\u0003')
    expect((await asked.done).code).toBe(130)
    expect(asked.output()).not.toMatch(colour)
  })

  it('shows neither colours nor a spinner without a terminal', async () => {
    const [plain, dry] = [await run(box, 'status.ts'), await run(box, 'install.ts', '--dry-run')]
    expect(plain.stdout + plain.stderr + dry.stdout + dry.stderr).not.toContain(esc)
  })

  it('works in a terminal of 40 columns', async () => {
    const words = ['/bin/sh', '-c', 'stty cols 40; exec "$@"', 'sh', ...scriptCommand('install.ts', [])]
    const asked = box.start(words, { tty: true, cwd: checkout })
    await asked.expect(/Install HAProxy\s+proxy\?/, patience)
    asked.write('\r')
    await asked.expect(/Which model\?/, patience)
    asked.write('\r')
    await asked.expect(/Keep this Mac awake/, patience)
    asked.write('\r')
    await asked.expect(/Do this\?/, patience)
    asked.write('n\r')
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(4)
  })

  it.each(scripts)('%s without its packages says `npm ci` in one sentence', async (script) => {
    const copy = box.outside('copy')
    mkdirSync(copy, { recursive: true })
    const own = readdirSync(checkout).filter((name) => /^[\w-]+\.ts$|^package\.json$|^lib$|^templates$/.test(name))
    for (const name of own) cpSync(join(checkout, name), join(copy, name), { recursive: true })
    const loader = pathToFileURL(join(checkout, 'node_modules/tsx/dist/loader.mjs')).href
    const outcome = await box.run([node, '--import', loader, script, '--yes'], { cwd: `${box.home}/copy` })
    expect(outcome.code, told(outcome)).toBe(3)
    expect(outcome.stdout).toBe('')
    expect(outcome.stderr).toMatch(/^[^\n]*`npm ci`[^\n]*\n$/)
  })
})

const fixed = ['/usr/local/bin/node', '/opt/homebrew/bin/node'].includes(node)
  ? 'Node is where bootstrap.sh looks'
  : cannot

describe.skipIf(fixed)(`bootstrap.sh${fixed ? ` (skipped: ${fixed})` : ''}`, () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({ preset: 'bare' })
    // A PATH with what the script calls and without Node.
    mkdirSync(box.outside('tools'))
    for (const name of ['sh', 'bash', 'dirname', 'mktemp', 'rm', 'cat', 'env', 'script', 'sed', 'stty'])
      symlinkSync(program(name) ?? `/bin/${name}`, box.outside(`tools/${name}`))
  })
  afterAll(() => box.close())

  const bootstrap = ['/bin/sh', join(checkout, 'bootstrap.sh')]
  const without = () => ({ env: { PATH: `${box.dir}/bin:${box.home}/tools` } })

  it.each(['--help', '--version'])('%s is answered by itself, without Node', async (flag) => {
    const outcome = await box.run([...bootstrap, '--yes', flag], without())
    expect([outcome.code, outcome.stderr], told(outcome)).toEqual([0, ''])
    expect(outcome.stdout).toMatch(/^(Usage: \.\/bootstrap\.sh |remote-ollama-proxy \d)/)
  })

  it('with Node there hands its arguments over to install.ts', async () => {
    const outcome = await box.run([...bootstrap, '--dry-run', '--model', 'tiny'], { timeoutMs: patience })
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toContain('The model tiny is on this machine')
    expect(outcome.stdout).toContain('Dry run: nothing was changed.')
    const unknown = await box.run([...bootstrap, '--frobnicate'])
    expect(unknown.code).toBe(2)
  })

  it('refuses root', async () => {
    const outcome = await box.run(['sudo', ...bootstrap])
    expect(outcome.code, told(outcome)).toBe(3)
    expect(outcome.stderr).toContain('without sudo')
  })

  it('without Node and without a terminal says what it would bring, and stops with 2', async () => {
    const before = everything(box)
    const outcome = await box.run(bootstrap, without())
    expect(outcome.code, told(outcome)).toBe(2)
    expect(outcome.stdout).toMatch(/no Node 20[\s\S]*- Homebrew[\s\S]*- brew install node[\s\S]*- npm ci/)
    expect(outcome.stderr).toMatch(/^Nobody can be asked here; run \.\/bootstrap\.sh --yes.*\n$/)
    expect(differences(before, everything(box))).toEqual([])
  })

  it('asks once at a terminal, and no means 4 and nothing changed', async () => {
    const before = everything(box)
    const asked = box.start(bootstrap, { ...without(), tty: true })
    await asked.expect('Continue? (Y/n)')
    asked.write('n\n')
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(4)
    expect(screen(asked)).toContain('Nothing was changed.')
    expect(differences(before, everything(box))).toEqual([])
  })

  it('with consent brings Homebrew and Node and goes on with install.ts', async () => {
    const dry = await box.run([...bootstrap, '--yes', '--dry-run'], without())
    expect(dry.code, told(dry)).toBe(3)
    expect(box.exists(`${box.prefix}/bin/node`)).toBe(false)
    const outcome = await box.run([...bootstrap, '--yes', '--frobnicate'], { ...without(), timeoutMs: patience })
    expect(outcome.code, told(outcome)).toBe(2)
    expect(outcome.stderr).toContain('Usage: npx tsx install.ts')
    expect(box.exists(`${box.prefix}/bin/node`)).toBe(true)
    expect(box.exists(at(box).support)).toBe(false)
  })

  it('without a network says so in one sentence', async () => {
    const other = await quickBox({ preset: 'bare', mac: { brew: { network: false } } })
    try {
      mkdirSync(other.outside('tools'))
      for (const name of ['sh', 'bash', 'dirname', 'mktemp', 'rm', 'cat'])
        symlinkSync(program(name) ?? `/bin/${name}`, other.outside(`tools/${name}`))
      const env = { PATH: `${other.dir}/bin:${other.home}/tools` }
      const outcome = await other.run([...bootstrap, '--yes'], { env })
      expect(outcome.code, told(outcome)).toBe(3)
      expect(outcome.stderr).toContain('Homebrew could not be downloaded; look at the network and run this again.')
    } finally {
      await other.close()
    }
  })
})
