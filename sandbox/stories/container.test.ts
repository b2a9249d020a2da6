import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Ran, run } from '../box/apt.ts'
import { bundle, checkout, node } from '../box/paths.ts'
import { haproxy } from '../box/tools.ts'
import { eventually } from './await.ts'

/** A network of its own, with an address that others could reach; kept by a shell that ends with this process. */
const ground = 'ip link set lo up && ip address add 10.88.0.2/32 dev lo && echo ready && exec cat > /dev/null'
const space = process.getuid?.() === 0 ? ['--net'] : ['--net', '--user', '--map-root-user']
const trial = await run('unshare', [...space, 'ip', 'link'])
const why = trial.code === 0 ? undefined : `no network of its own: ${trial.stderr.trim()}`

const [first, second] = ['a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6', 'second-uuid-generated-key-here']
let home: string
let keeper: ChildProcess
let env: NodeJS.ProcessEnv
const running: ChildProcess[] = []

const entered = (argv: string[]): string[] => [
  ...[`--target=${keeper.pid}`, '--net', ...(space.length > 1 ? ['--user', '--preserve-credentials'] : [])],
  ...argv,
]
const inside = (argv: string[], more: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  run('nsenter', entered(argv), { ...env, ...more })
const start = (argv: string[], more: NodeJS.ProcessEnv = {}): ChildProcess => {
  const child = spawn('nsenter', entered(argv), { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  return child
}
const rop = (...words: string[]) => inside([join(checkout, 'templates/bin/rop'), ...words])
const write = (name: string, text: string) => writeFileSync(join(home, 'config', name), text)
const keys = (...all: string[]) => all.map((key) => `"Bearer ${key}" 1;\n`).join('')
const ask = async (key: string) =>
  (
    await inside([
      ...['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', `Authorization: Bearer ${key}`],
      'http://10.88.0.2:8080/v1/models',
    ])
  ).stdout

/** HAProxy and the observer by the image's first program, with the container's places in a folder of this machine. */
describe.skipIf(why !== undefined)(`the container’s own programs${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'ctr-'))
    const { haproxyBinaries, libraryPath } = await haproxy()
    const folders = [dirname(Object.values(haproxyBinaries)[0] ?? ''), dirname(node), process.env.PATH, '/usr/sbin']
    const { environment } = parse(readFileSync(join(checkout, 'templates/container/compose.yaml'), 'utf8')).services
      .gateway
    const own = { HOME: home, ROP_SYSTEM: 'container', LD_LIBRARY_PATH: libraryPath }
    env = { PATH: folders.join(':'), ...own, ...environment }
    keeper = spawn('unshare', [...space, 'sh', '-c', ground], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(keeper.stdout ?? keeper, 'data')
    for (const name of ['config', 'logs', 'run']) mkdirSync(join(home, name))
    cpSync(await bundle(), join(home, 'engine'), { recursive: true })
    const engine = { BOX: join(home, 'engine'), OLLAMA_HOST: '127.0.0.1:12001', HOME: join(home, 'engine') }
    start([node, join(home, 'engine/standins.mjs'), 'ollama', 'serve'], engine)
    const pull = () => inside([node, join(home, 'engine/standins.mjs'), 'ollama', 'pull', 'qwen3:0.6b'], engine)
    await eventually('the engine has a model', async () => (await pull()).code === 0)
    for (const name of ['settings.yaml', 'api_keys.conf'])
      write(name, readFileSync(join(checkout, 'templates/container/config', `${name}.example`), 'utf8'))
    write('api_keys.conf', keys(first))
    write('upstream_ollama.conf', 'server 127.0.0.1:12001; # GPU Server 1\n')
  })
  afterAll(async () => {
    for (const child of running.toReversed()) {
      const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      child.kill('SIGTERM')
      await gone
    }
    keeper?.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  })

  test('come up by the mounted files, answer whoever has a key of theirs, and say every request', async () => {
    const container = start(['sh', join(checkout, 'templates/container/start')])
    let said = ''
    for (const stream of [container.stdout, container.stderr])
      stream?.setEncoding('utf8').on('data', (text) => (said += text))
    await eventually('it is settled', () => said.includes('log: '), 90_000)
    expect(await ask(first)).toBe('200')
    expect(await ask(second)).toBe('401')
    await eventually('the request is said', () => said.includes('"path":"/v1/models"'))
    expect(said).not.toContain('✗')
  })

  test('take in what was edited at apply, and refuse a broken line by its number', async () => {
    write('api_keys.conf', keys(second))
    expect((await rop('apply')).code).toBe(0)
    expect([await ask(first), await ask(second)]).toEqual(['401', '200'])
    write('api_keys.conf', `${keys(second)}nonsense\n`)
    const broken = await rop('apply')
    expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining('line 2: it is not ended by ;')])
    expect(await ask(second)).toBe('200')
  })

  test('name every command as the container’s owner types it', async () => {
    write('api_keys.conf', keys(second))
    const outside = 'docker exec ai-gateway rop'
    expect((await rop('help')).stdout).toContain(`Usage: ${outside} VERB`)
    expect((await rop('keys', 'add')).stderr).toContain(`${outside} keys add NAME`)
    expect((await rop('restore', 'file')).stderr).toContain(`then ${outside} apply.`)
  })

  test('end in order, and leave no process behind', async () => {
    const container = running.at(-1)
    const pids = ['gateway', 'observer'].map((job) =>
      readFileSync(join(home, `run/container-${job}.pid`), 'utf8').trim(),
    )
    const gone = container && once(container, 'exit')
    container?.kill('SIGTERM')
    expect(await gone).toEqual([0, null])
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([])
  })
})
