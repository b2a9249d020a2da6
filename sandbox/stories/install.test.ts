import { statSync } from 'node:fs'
import { parse } from 'plist'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../lib/host/command.ts'
import { consent } from '../../lib/parts/consent.ts'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, net, type Outcome } from '../box/box.ts'
import { genuine, unlessReal } from './real.ts'
import {
  answer,
  at,
  cannot,
  expectGreen,
  job,
  lastLog,
  listeners,
  quickBox,
  receipt,
  run,
  titled,
  told,
} from './witness.ts'

const jobs = [labels.engine, labels.gateway]

/** The lines below a heading of the plan. */
function below(text: string, heading: string): string[] {
  const lines = text.split('\n')
  const from = lines.indexOf(`${heading}:`) + 1
  if (from === 0) return []
  const to = lines.findIndex((line, index) => index >= from && !line.startsWith('  '))
  return lines.slice(from, to).map((line) => line.trim())
}

const bits = (box: Box, path: string): number => statSync(box.outside(path)).mode & 0o777

describe.skipIf(cannot)(titled('the first install on a bare Mac'), () => {
  let box: Box
  let outcome: Outcome
  beforeAll(async () => {
    box = await quickBox({ preset: 'bare', mac: { tailscale: { loginAfterMs: 300 } } })
    outcome = await run(box, 'install.ts', '--yes')
  })
  afterAll(() => box.close())

  it('ends green, and stderr has at most the address of Tailscale’s login', () => {
    expectGreen(outcome.code, told(outcome))
    // The login at the screen may be done before `tailscale up` looks; then it has nothing to show.
    const login = `To authenticate, visit: ${box.state().tailscale.authUrl}\n`
    expect(['', login]).toContain(outcome.stderr)
  })

  it('prints the path of its log last, and the log is for its owner alone', () => {
    const lines = outcome.stdout.trimEnd().split('\n')
    const [, path = ''] = /^log: (.*)$/.exec(lines.at(-1) ?? '') ?? []
    expect(path).toMatch(/^\/Users\/ada\/Library\/Logs\/remote-ollama-proxy\/.*-install\.log$/)
    expect(bits(box, path)).toBe(0o600)
    expect(box.read(path)).toContain('run launchctl bootstrap')
  })

  it('shows the whole plan before any work', () => {
    const lines = outcome.stdout.split('\n')
    expect(lines[0]).toMatch(/^What will be done \(\d+ steps\):$/)
    const plan = lines.slice(
      0,
      lines.findIndex((line) => line.startsWith('✓')),
    )
    expect(plan.length).toBeLessThanOrEqual(15)
    for (const part of ['Homebrew', 'Tailscale', 'Ollama', 'HAProxy', 'Models'])
      expect(plan.some((line) => line.startsWith(`  ${part} `))).toBe(true)
    expect(plan.join('\n')).toMatch(/Asked meanwhile: your password \(Homebrew, Tailscale\); .*a browser login/)
  })

  it('takes at most 60 lines for all of it, and no more than 15 for the plan', () => {
    expect(outcome.stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(60)
  })

  it('asks nothing where nobody sits', () => {
    expect(outcome.stdout).not.toContain(consent)
  })

  it('remembers every file that it wrote with its hash', () => {
    const { files, mode, backups } = receipt(box)
    expect(mode).toBe('proxy')
    expect(backups).toEqual([])
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining([
        at(box).config,
        at(box).settings,
        ...jobs.map((label) => `${at(box).agents}/${label}.plist`),
      ]),
    )
    for (const [file, hash] of Object.entries(files)) expect(sha256(box.read(file)), file).toBe(hash)
  })

  it.each(jobs)('writes %s as a valid property list that starts at login and is kept alive', async (label) => {
    const file = `${at(box).agents}/${label}.plist`
    expect(bits(box, file)).toBe(0o644)
    expect(parse(box.read(file))).toMatchObject({
      Label: label,
      RunAtLoad: true,
      KeepAlive: true,
      ProcessType: 'Interactive',
    })
    const loaded = await job(box, label)
    expect(loaded?.properties).toEqual(expect.arrayContaining(['keepalive', 'runatload']))
    expect(loaded?.spawnType).toMatch(/^interactive/)
    expect(loaded?.state).toBe('running')
  })

  it('has Ollama on loopback and HAProxy on the tailnet addresses, and nobody anywhere else', async () => {
    const found = await listeners(box, box.port)
    const places = found.map(({ command, at: place }) => `${command} ${place}`).sort()
    expect(places).toEqual(
      [`haproxy ${net.mac.tailnet}:11434`, `haproxy [${net.mac.tailnet6}]:11434`, 'ollama 127.0.0.1:11434'].sort(),
    )
  })

  it('answers a peer of the tailnet, refuses it what is not on the list, and is silent on the LAN', async () => {
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
    expect(await answer(box, 'laptop', '/api/delete', { method: 'DELETE' })).toBe(403)
    expect(await answer(box, 'neighbour', '/api/version', { host: net.mac.lan })).toBe('refused')
  })

  it('ends with one screen: the address, the model, who comes in, one curl, where clients are told, what is worth doing', () => {
    const end = outcome.stdout.slice(outcome.stdout.indexOf('Ready:'))
    expect(end.split('\n').length).toBeLessThanOrEqual(24)
    for (const words of [
      'http://studio.tail0lab.ts.net:11434/v1',
      'qwen3-coder:30b',
      'every device that your tailnet lets in',
      'curl http://studio.tail0lab.ts.net:11434/v1/models',
      'http://studio.tail0lab.ts.net:11434/connect',
      'rop connect claude',
      'sudo pmset -c sleep 0',
      'rop status',
    ])
      expect(end).toContain(words)
  })

  it('says with --verbose what is reachable, and how each job is run', async () => {
    const { stdout } = await run(box, 'install.ts', '--yes', '--verbose')
    const statement = stdout.slice(stdout.indexOf('Reachability'))
    expect(statement).toContain(`answers on ${net.mac.tailnet}:11434 (studio.tail0lab.ts.net)`)
    expect(statement).toContain(`nothing on ${net.mac.lan}`)
    expect(statement).toContain('Ollama itself on loopback only')
    expect(statement).toContain('cloud forwarding off')
    expect(statement).toContain('OpenAI-compatible base URL:    http://studio.tail0lab.ts.net:11434/v1')
    expect(statement).toContain(`launchctl bootout gui/501/${labels.gateway}`)
  })
})

describe.skipIf(cannot)(titled('what is there already'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({ preset: 'brew' })
  })
  afterAll(() => box.close())

  const packages = async () => {
    const outcome = await run(box, 'install.ts', '--dry-run')
    expect(outcome.code, told(outcome)).toBe(0)
    return below(outcome.stdout, 'Packages').map((line) => line.replace(/^\S+ install --/, ''))
  }
  const brewHas = (ollama: string) =>
    box.mac((mac) => {
      mac.brew.latest.ollama = ollama
    })
  const brew = async (...words: string[]) => {
    const outcome = await box.run(['brew', ...words])
    expect(outcome.code, told(outcome)).toBe(0)
  }

  it('is not installed again: each package leaves the plan once it is there', async () => {
    expect(await packages()).toEqual(['cask tailscale-app', 'formula ollama', 'formula haproxy'])
    await brew('install', '--cask', 'tailscale-app')
    await box.tailnet(true)
    expect(await packages()).toEqual(['formula ollama', 'formula haproxy'])
    await brew('install', 'haproxy')
    expect(await packages()).toEqual(['formula ollama'])
  })

  it.skipIf(genuine)(
    unlessReal('is too old: says so with the command that upgrades it, and changes nothing'),
    async () => {
      brewHas('0.9.0')
      await brew('install', 'ollama')
      const before = box.snapshot('.')
      const outcome = await run(box, 'install.ts', '--yes')
      expect(outcome.code, told(outcome)).toBe(3)
      expect(outcome.stderr).toMatch(/ollama .*too old.*brew upgrade ollama/)
      expect(outcome.stderr).not.toContain('    at ')
      expect([...box.snapshot('.').keys()].filter((path) => !before.has(path) && !/Logs/.test(path))).toEqual([])
      await brew('uninstall', 'ollama')
    },
  )

  it('is never upgraded while it meets the minimum, and --json, --config and --model do as they say', async () => {
    brewHas('0.20.0')
    await brew('install', 'ollama')
    brewHas('0.32.3')
    box.write('my settings.yaml', 'log: requests # mine\nkeep_alive: 1h\n')
    const words = ['--yes', '--json', '--config', `${box.home}/my settings.yaml`, '--model', 'tiny']
    const outcome = await run(box, 'install.ts', ...words)
    expect(outcome.stderr).toBe('')
    expect(lastLog(box)).not.toMatch(/run .*brew (install|upgrade)/)
    expect(box.state().brew.installed.ollama).toBe('0.20.0')

    const document = JSON.parse(outcome.stdout) as {
      mode: string
      code: number
      proof: { id: string; state: string }[]
    }
    expect(document).toMatchObject({ mode: 'proxy', code: outcome.code })
    const missed = document.proof.filter(({ state, id }) => state === 'missed' && id !== 'performance.overhead')
    expect(missed).toEqual([])

    expect(box.read(at(box).settings)).toContain('keep_alive: 1h')
    expect(box.read(at(box).settings)).toContain('# mine')
    expect(box.read(at(box).settings)).toMatch(/models:\s+(\[ ?tiny ?\]|- tiny)/)
    expect((await job(box, labels.engine))?.environment.OLLAMA_KEEP_ALIVE).toBe('3600s')
    expect((await box.run(['ollama', 'list'])).stdout).toContain('tiny')
  })

  it('has settings: --model and --config change them, and the older ones are kept', async () => {
    const more = await run(box, 'install.ts', '--yes', '--json', '--model', 'qwen3:0.6b')
    expect(JSON.parse(more.stdout), told(more)).toMatchObject({ code: more.code })
    expect(box.read(at(box).settings)).toMatch(/tiny[\s\S]*qwen3:0\.6b/)
    const [, list = ''] = /^models:([^#]*)/m.exec(box.read(at(box).settings)) ?? []
    expect(list.match(/tiny/g)).toHaveLength(1)
    expect(box.read(at(box).settings)).toContain('keep_alive: 1h')
    const status = await run(box, 'status.ts')
    expect(status.code, told(status)).toBe(0)
  })

  it('a model that cannot be had changes no settings, and says where the names are', async () => {
    const before = box.read(at(box).settings)
    const outcome = await run(box, 'install.ts', '--yes', '--model', 'qwen3:0.7b')
    expect(outcome.code, told(outcome)).toBe(1)
    expect(outcome.stderr).toMatch(/ollama\.com\/library for those there are; did you mean qwen3:0\.6b\?/)
    expect(box.read(at(box).settings)).toBe(before)
  })

  it('a settings file that is not there is named, and nothing is changed', async () => {
    const before = box.snapshot(at(box).settingsFolder)
    const outcome = await run(box, 'install.ts', '--yes', '--config', '/Users/ada/none.yaml')
    expect(outcome.code, told(outcome)).toBe(2)
    expect(outcome.stderr).toContain('/Users/ada/none.yaml')
    expect(box.snapshot(at(box).settingsFolder)).toEqual(before)
  })
})
