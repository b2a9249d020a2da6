import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { type Engine, startEngine } from '../container/engine.ts'
import { fetched, type Project } from '../container/gateway.ts'
import { whyNot } from '../linux/why.ts'
import { eventually } from './await.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const [first, second, third] = [
  'a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6',
  'second-uuid-generated-key-here',
  'third-key-of-later-on',
]
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
let engine: Engine
let project: Project

const at = (name: string) => join(project.folder, name)
const up = (by: 'docker compose' | 'docker-compose') => engine.compose(by, project.folder, 'up', '--build', '-d')
const inside = (...words: string[]) => engine.docker('exec', 'ai-gateway', ...words)
const rop = (...words: string[]) => inside('rop', ...words)
const apply = () => rop('apply')

/** As an editor that writes a new file and gives it the old one's name. */
function edit(name: string, text: string): void {
  writeFileSync(at(`${name}.new`), text)
  renameSync(at(`${name}.new`), at(name))
}
const keys = (...all: string[]) =>
  `# Format: "Bearer <your_api_key>" 1;\n${all.map((key) => `"Bearer ${key}" 1;\n`).join('')}`

const asks = (key: string | undefined, target: string, body?: object): string[] => [
  ...['curl', '-s', '-m', '60', '-o', '-', '-w', '\n%{http_code} %header{x-served-by}'],
  ...(key === undefined ? [] : ['-H', `Authorization: Bearer ${key}`]),
  ...(body ? ['-d', JSON.stringify(body)] : []),
  `http://127.0.0.1:8080${target}`,
]
/** Status and node of an answer, as a client on the engine's machine sees it. */
async function ask(key: string | undefined, target: string, body?: object): Promise<string> {
  return (await engine.beside(asks(key, target, body))).stdout.trim().split('\n').at(-1)?.trim() ?? ''
}
const generate = { model: 'qwen3:0.6b', prompt: 'Why is the sky blue?', stream: false }
const healthy = () =>
  eventually(
    'the container is healthy',
    async () =>
      (await engine.docker('inspect', '-f', '{{.State.Health.Status}}', 'ai-gateway')).stdout.trim() === 'healthy',
    120_000,
  )

/** A stream that the engines hold until they are let go. */
function held(): { text(): string; ended: Promise<string>; child: ChildProcess } {
  const argv = asks(first, '/api/generate', { model: 'tiny-loop', prompt: 'go on', options: { num_predict: 64 } })
  const child = spawn('ip', ['netns', 'exec', engine.network, ...argv.map((word) => (word === '-s' ? '-sN' : word))])
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  return { text: () => text, ended: once(child, 'close').then(() => text), child }
}
const hold = (faults: object): void => {
  for (const name of ['node1', 'node2']) project.faults(name, faults)
}

describe.skipIf(why !== undefined)(`the gateway in a container${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    engine = await startEngine()
    project = await fetched(engine, ['node1', 'node2'])
    for (const name of ['settings.yaml', 'api_keys.conf', 'upstream_ollama.conf'])
      writeFileSync(at(`config/${name}`), readFileSync(at(`config/${name}.example`)))
    edit('config/api_keys.conf', keys(first, second))
    edit('config/upstream_ollama.conf', 'server node1:11434; # GPU Server 1\nserver node2:11434;\n')
  })
  afterAll(async () => {
    await engine?.close()
    project?.remove()
  })

  test('says what is missing where the logs cannot be written', async () => {
    expectGreen((await up('docker compose')).code, '')
    const said = await eventually('it says so', async () => {
      const text = told(await engine.docker('logs', 'ai-gateway'))
      return text.includes('logs') && text
    })
    expect(said).toContain('sudo chown 10001 logs')
  })

  test('is built and up by one command, and takes the keys and servers of an nginx gateway as they are written', async () => {
    await engine.beside(['chown', '10001:10001', at('logs')])
    const outcome = await up('docker compose')
    expect(outcome.code, told(outcome)).toBe(0)
    for (const name of ['node1', 'node2'])
      for (const model of ['qwen3:0.6b', 'tiny-loop']) {
        const pulled = await engine.docker(
          'exec',
          `container-${name}-1`,
          'node',
          '/box/standins.mjs',
          'ollama',
          'pull',
          model,
        )
        expect(pulled.code, told(pulled)).toBe(0)
      }
    await healthy()
    await eventually(
      'its beginning is over',
      async () => told(await engine.docker('logs', 'ai-gateway')).includes('log: '),
      120_000,
    )
    await eventually(
      'a node is known',
      async () => (await ask(first, '/api/generate', generate)).startsWith('200 node'),
      60_000,
    )
    expect(await ask(second, '/v1/models')).toMatch(/^200/)
    expect(await ask(undefined, '/v1/models')).toBe('401')
    expect(await ask(third, '/v1/models')).toBe('401')
    expect(await ask(first, '/api/delete')).toBe('403')
  })

  test('proves itself from within', async () => {
    const outcome = await rop('test')
    expectGreen(outcome.code, told(outcome))
    const status = await rop('status')
    expectGreen(status.code, told(status))
  })

  test('asks a neighbour on its own network and on another one for a key', async () => {
    const address = (
      await engine.docker('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', 'ai-gateway')
    ).stdout.trim()
    const look = `fetch('http://${address}:8080/v1/models').then((r) => console.log(r.status), (e) => console.log(e.message))`
    for (const network of ['container_default', 'bridge']) {
      const { stdout } = await engine.docker('run', '--rm', '--network', network, 'debian:13-slim', 'node', '-e', look)
      expect(network === 'bridge' ? stdout.replace('fetch failed', '401') : stdout).toContain('401')
    }
  })

  test('has no rights, writes nowhere but in its volume, and runs as nobody else', async () => {
    const { stdout } = await inside('sh', '-c', 'cat /proc/1/status; id -u; touch /etc/x /usr/x /gateway/config/x 2>&1')
    expect(stdout).toMatch(/CapEff:\s+0+\n/)
    expect(stdout).toMatch(/NoNewPrivs:\s+1/)
    expect(stdout).toMatch(/^10001$/m)
    expect(stdout.match(/Read-only file system/g)).toHaveLength(3)
  })

  test('takes another key and another server in under a running stream', async () => {
    hold({ holds: { afterTokens: 8 } })
    const stream = held()
    await eventually('it streams', () => stream.text().includes('w05'))
    edit('config/api_keys.conf', keys(first, third))
    edit('config/upstream_ollama.conf', 'server node2:11434;\n')
    const outcome = await apply()
    expect(outcome.code, told(outcome)).toBe(0)
    expect([await ask(second, '/v1/models'), (await ask(third, '/v1/models')).slice(0, 3)]).toEqual(['401', '200'])
    hold({})
    const text = await stream.ended
    expect(text).toContain('"done":true')
    expect(text).toMatch(/200/)
    for (let at = 0; at < 4; at += 1) expect(await ask(first, '/api/generate', generate)).toBe('200 node2')
  })

  test('refuses a broken line by its number, and goes on as before', async () => {
    edit('config/api_keys.conf', `${keys(first, third)}"Bearer broken 1;\n`)
    const broken = await apply()
    expect([broken.code, broken.stderr]).toEqual([
      2,
      expect.stringMatching(/api_keys\.conf[\s\S]*line 4 to 5: the " of line 4 is never closed/),
    ])
    expect([await ask(third, '/v1/models'), await ask(second, '/v1/models')].map((one) => one.slice(0, 3))).toEqual([
      '200',
      '401',
    ])
    edit('config/api_keys.conf', keys(first, third))
    edit('config/upstream_ollama.conf', 'server node1:11434;\nservr node2:11434;\n')
    const other = await apply()
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringMatching(/upstream_ollama\.conf[\s\S]*line 2: servr is nothing/),
    ])
    expect(await ask(first, '/api/generate', generate)).toBe('200 node2')
    edit('config/upstream_ollama.conf', 'server node1:11434;\nserver node2:11434;\n')
    expect((await apply()).code).toBe(0)
  })

  test('has limits for a key of the file, which is taken back in the file alone', async () => {
    const limited = await rop('keys', 'limits', 'imported-1', '--per-minute', '2')
    expect(limited.code, told(limited)).toBe(0)
    const all: string[] = []
    for (let at = 0; at < 3; at += 1) all.push((await ask(first, '/api/generate', generate)).slice(0, 3))
    expect(all).toEqual(['200', '200', '429'])
    expect((await apply()).code).toBe(0)
    expect((await ask(first, '/api/generate', generate)).slice(0, 3)).toBe('429')
    expect((await rop('keys', 'limits', 'imported-1', '--per-minute', 'none')).code).toBe(0)
    const revoked = await rop('keys', 'revoke', 'imported-1')
    expect([revoked.code, revoked.stderr]).toEqual([2, expect.stringContaining('take its line out there')])
    expect((await rop('uninstall')).stderr).toContain('docker compose down')
    expect((await rop('nodes', 'remove', 'node1')).stderr).toContain('upstream_ollama.conf')
  })

  test('says every request, inside and outside', async () => {
    const before = await ask(first, '/v1/models?seen')
    expect(before).toMatch(/^200/)
    const logged = () => readFileSync(at('logs/haproxy.log'), 'utf8').includes('/v1/models')
    await eventually('it is in the log outside', logged)
    await eventually('docker logs has it', async () =>
      told(await engine.docker('logs', 'ai-gateway')).includes('/v1/models'),
    )
    expect(readFileSync(at('logs/haproxy.log'), 'utf8')).not.toContain(first)
  })

  test('has HAProxy and the observer back when they are killed, and serves again after a restart', async () => {
    for (const job of ['container-gateway', 'container-observer']) {
      const pid = async () => (await inside('cat', `/gateway/run/${job}.pid`)).stdout.trim()
      const before = await pid()
      await inside('sh', '-c', `kill -9 ${before}`)
      await eventually(`${job} is back`, async () => !['', before].includes(await pid()))
      await eventually('it answers', async () => (await ask(first, '/api/generate', generate)).startsWith('200'))
    }
    const made = JSON.parse((await rop('keys', 'add', 'ann', '--json')).stdout) as { key: string }
    expect((await engine.docker('restart', 'ai-gateway')).code).toBe(0)
    await eventually(
      'it answers',
      async () => (await ask(made.key, '/api/generate', generate)).startsWith('200'),
      60_000,
    )
    await healthy()
  })

  test('ends in order: a running answer gets its time', async () => {
    await eventually('its beginning is over', async () => (await apply()).code === 0, 60_000)
    hold({ holds: { afterTokens: 8 } })
    const stream = held()
    await eventually('it streams', () => stream.text().includes('w05'))
    const stopping = engine.docker('stop', 'ai-gateway')
    await eventually('nobody else is let in', async () => (await ask(first, '/v1/models')).startsWith('000'))
    hold({})
    expect(await stream.ended).toContain('"done":true')
    expect((await stopping).code).toBe(0)
    expect((await engine.docker('inspect', '-f', '{{.State.ExitCode}}', 'ai-gateway')).stdout.trim()).toBe('0')
  })

  test('down keeps its volume, down -v does not, and neither what the owner wrote', async () => {
    expect((await engine.compose('docker-compose', project.folder, 'down')).code).toBe(0)
    expect((await engine.docker('volume', 'ls', '-q')).stdout).toContain('container_state')
    const again = await up('docker-compose')
    expect(again.code, told(again)).toBe(0)
    await healthy()
    expect((await rop('keys', 'list')).stdout).toContain('ann')
    expect((await engine.compose('docker-compose', project.folder, 'down', '-v')).code).toBe(0)
    expect((await engine.docker('volume', 'ls', '-q')).stdout).not.toContain('container_state')
    expect(['config/api_keys.conf', 'logs/haproxy.log'].map((name) => existsSync(at(name)))).toEqual([true, true])
  })
})
