import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseEnded } from '../../lib/observer/ended.ts'
import { packages } from '../box/packages.ts'
import { checkout, program } from '../box/paths.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { exchange, request } from '../lab/raw.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'

const python = program('python3')
let engine: Recorder
let gateway: RunningGateway
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fail2ban-'))
  engine = await startRecorder()
  gateway = await startGateway({ enginePort: engine.port, settings: 'access: keys\nlog: requests\nobserver: off' })
})
afterAll(async () => {
  await gateway?.stop()
  await engine?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The addresses that the real fail2ban-regex finds with our filter, one for each line that counts. */
async function found(lines: string[]): Promise<string[]> {
  const { root } = await packages(['fail2ban'])
  const log = join(folder, 'haproxy.log')
  writeFileSync(log, lines.map((line) => `${line}\n`).join(''))
  const argv = [
    '-c',
    join(root, 'etc/fail2ban'),
    '-o',
    'ip',
    log,
    join(checkout, 'monitoring/fail2ban/remote-ollama-proxy.conf'),
  ]
  const env = { ...process.env, PYTHONPATH: join(root, 'usr/lib/python3/dist-packages') }
  const said = execFileSync(python ?? '', [join(root, 'usr/bin/fail2ban-regex'), ...argv], { env, encoding: 'utf8' })
  return said.split('\n').filter(Boolean)
}

test.skipIf(!python)(
  'the filter for fail2ban finds who sent a wrong key, in both logs, and nobody whom a client names',
  async () => {
    const ask = (from: string, path: string, more: string[]) =>
      exchange({ ...gateway, from }, request(`GET ${path} HTTP/1.1`, [`Host: ${gateway.host}`, ...more]))
    const forged = `User-Agent: x","address":"9.9.9.9","status":401,"a":"`
    const wrong = 'Authorization: Bearer rop_wrong'
    expect((await ask('127.9.0.1', '/v1/models', [wrong, forged])).status).toBe(401)
    expect((await ask('127.9.0.2', '/v1/models?x="status":401', [])).status).toBe(401)
    expect((await ask('127.9.0.3', '/', [wrong, forged])).status).toBe(200)
    expect((await ask('127.9.0.4', '/","address":"9.9.9.9","status":401,', [wrong])).status).not.toBe(0)
    const logged = () => gateway.log().map((line) => JSON.parse(line) as { address: string; status: number })
    const from = (all: { address: string }[]) => all.map(({ address }) => address)
    // Two threads write it, so not always in the order of the requests.
    await eventually('all are in the log', () => [1, 2, 3, 4].every((at) => from(logged()).includes(`127.9.0.${at}`)))
    const lines = gateway.log()
    const wanted = from(logged().filter(({ status }) => status === 401))
    expect(wanted).toEqual(expect.arrayContaining(['127.9.0.1', '127.9.0.2']))
    expect(await found(lines)).toEqual(wanted)
    expect(await found(lines.map((line) => JSON.stringify(parseEnded(line))))).toEqual(wanted)
  },
)
