import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { places } from '../../lib/platform/mac/places.ts'
import { run } from '../box/apt.ts'
import { type Packages, packages } from '../box/packages.ts'
import { checkout } from '../box/paths.ts'
import { eventually, freePort, type RunningGateway, startGateway, watchOver } from '../lab/gateway.ts'
import { type RunningObserver, startObserver } from '../lab/observer.ts'
import { exchange, request } from '../lab/raw.ts'
import { json, type Recorder, startRecorder } from '../lab/recorder.ts'

const files = join(checkout, 'monitoring')
const key = generateKey()
const registry = {
  version: 1 as const,
  keys: {
    prom: {
      created: '2026-01-01T00:00:00.000Z',
      hashes: [{ sha256: hashKey(key) }],
      groups: ['metrics' as const, 'openai' as const],
      expires: '2099-01-01T00:00:00.000Z',
    },
  },
}

let found: Packages
beforeAll(async () => {
  found = await packages(['prometheus'])
})

test('the rules are sound, and each alert fires on its event and on no other', async () => {
  const promtool = (...words: string[]) => run(found.bin('promtool'), words)
  expect(await promtool('check', 'config', join(files, 'prometheus.yml'))).toMatchObject({ code: 0 })
  const { code, stdout, stderr } = await promtool('test', 'rules', join(files, 'alerts.test.yml'))
  expect(code, `${stdout}${stderr}`).toBe(0)
})

describe('a real Prometheus', () => {
  let engine: Recorder
  let gateway: RunningGateway
  let observer: RunningObserver
  let api: string
  const ends: (() => unknown)[] = []

  beforeAll(async () => {
    engine = await startRecorder()
    engine.answer = json('{"models":[{"name":"m","size":7}]}')
    const port = await freePort('127.0.0.1')
    const settings = `access: keys\ngroups: [agents, metrics]\nmetrics: { port: ${port} }`
    gateway = await startGateway({ enginePort: engine.port, settings, registry })
    const own = `engine: { port: ${engine.port} }\nmetrics: { port: ${port} }\n`
    await gateway.machine.write(places(gateway.home).settings, own)
    observer = await startObserver(gateway, port)
    api = await startPrometheus(port)
  })
  afterAll(async () => {
    for (const end of ends) await end()
    await observer?.stop()
    await gateway?.stop()
    await engine?.stop()
  })

  /** With our own configuration, hurried, and a second way in through the gateway, by key. */
  async function startPrometheus(port: number): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'prom-'))
    const text = readFileSync(join(files, 'prometheus.yml'), 'utf8')
      .replace('15s', '1s\n  evaluation_interval: 1s')
      .replace('127.0.0.1:9411', `127.0.0.1:${port}`)
      .replace('alerts.yml', join(files, 'alerts.yml'))
    const remote = `  - job_name: remote\n    authorization: { credentials: ${key} }\n    static_configs:\n      - targets: ['${gateway.host}']\n`
    writeFileSync(join(folder, 'prometheus.yml'), `${text}${remote}`)
    const at = `127.0.0.1:${await freePort('127.0.0.1')}`
    const words = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`]
    const running = spawn(found.bin('prometheus'), [...words, `--web.listen-address=${at}`], { stdio: 'ignore' })
    const dismiss = watchOver(running.pid ?? 0)
    ends.push(async () => {
      dismiss()
      const gone = once(running, 'exit')
      running.kill('SIGKILL')
      await gone
      rmSync(folder, { recursive: true, force: true })
    })
    return `http://${at}/api/v1`
  }

  interface Said {
    status: string
    data: {
      result: { metric: Record<string, string>; value: [number, string] }[]
      groups: { rules: { name: string; state: string; health: string }[] }[]
    }
  }
  const said = async (path: string) => (await (await fetch(`${api}${path}`)).json()) as Said
  const query = async (text: string): Promise<Said['data']['result']> =>
    (await said(`/query?query=${encodeURIComponent(text)}`).catch(() => undefined))?.data?.result ?? []

  test('reads the metrics here and, with a key, through the gateway', async () => {
    const body = '{"model":"m"}'
    const chat = request('POST /v1/chat/completions HTTP/1.1', [`Host: ${gateway.host}`, `x-api-key: ${key}`], body)
    expect((await exchange(gateway, chat)).status).toBe(200)
    await eventually('both are up', async () => (await query('up == 1')).length === 2, 60_000)
    await eventually('it is counted', async () => (await query('gateway_requests_total{who="prom"}')).length > 0)
  })

  test('answers every question of the dashboard', async () => {
    const { panels } = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[]
    }
    const asked = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    expect(asked.length).toBeGreaterThan(12)
    // Nobody runs anything, and nothing was refused, at this moment.
    const idle = /person_running|refusals_total/
    for (const expr of asked.filter((text) => !idle.test(text)))
      await eventually(`${expr} has an answer`, async () => (await query(expr)).length > 0, 60_000)
    for (const expr of asked)
      expect(await said(`/query?query=${encodeURIComponent(expr)}`)).toMatchObject({ status: 'success' })
  })

  test('sees that the engine is down', async () => {
    const states = async () => {
      const rules = (await said('/rules')).data.groups.flatMap((group) => group.rules)
      return Object.fromEntries(rules.map(({ name, state, health }) => [name, `${state} ${health}`]))
    }
    await eventually('the rules are evaluated', async () => (await states()).EngineDown === 'inactive ok', 60_000)
    await engine.stop()
    await eventually('it is noticed', async () => (await states()).EngineDown === 'pending ok', 60_000)
    const others = Object.entries(await states()).filter(([name]) => !/^(EngineDown|DiskFull)$/.test(name))
    expect(others.map(([, state]) => state)).toEqual(others.map(() => 'inactive ok'))
  })
})
