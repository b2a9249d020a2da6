import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { installedBox, job, putSettings, setFaults } from './installed.ts'
import { genuine, real, unlessReal } from './real.ts'

let box: Box

beforeAll(async () => {
  box = await installedBox()
})
afterAll(() => box?.close())

const ask = async (path: string) =>
  JSON.parse((await box.run(['curl', '-fs', `http://127.0.0.1:${box.enginePort}${path}`])).stdout) as {
    models: { name: string; expires_at: string }[]
  }
const loaded = async () => (await ask('/api/ps')).models
const installed = async () => (await ask('/api/tags')).models.map(({ name }) => name)
const warm = (...words: string[]) => box.script('warm-models.ts', words)

/** What a pull of a model that is nowhere comes to; a real Ollama finds no registry in the box. */
const unknown = real ? '.*(dial tcp|no such host)' : 'file does not exist'

describe('warm-models.ts', () => {
  it('loads those of the settings when none is named', async () => {
    await box.run(['ollama', 'stop', 'qwen3:0.6b'], { env: { OLLAMA_HOST: `127.0.0.1:${box.enginePort}` } })
    expect(await loaded()).toEqual([])
    const { code, stdout } = await warm()
    expect(code).toBe(0)
    expect(stdout).toMatch(/^qwen3:0\.6b: loaded, \d+ MB, \d+\.\d s$/m)
    expect((await loaded()).map(({ name }) => name)).toEqual(['qwen3:0.6b'])
  })

  it.skipIf(genuine)(
    unlessReal('downloads what is missing with progress in plain lines, loads it, and keeps it as long as told'),
    async () => {
      setFaults(box, { pullMs: 3_000 })
      const { code, stdout } = await warm('llama3.2:1b', '--keep-alive', '2h')
      setFaults(box, {})
      expect(code).toBe(0)
      expect(stdout).toMatch(/^llama3\.2:1b: downloading \S+ MB of 1\.3 GB, \S+ [MG]B\/s, \d+ s left$/m)
      expect(stdout).not.toContain('\u001b')
      expect(stdout).toMatch(/^llama3\.2:1b: loaded, /m)
      const until = (await loaded()).find(({ name }) => name === 'llama3.2:1b')?.expires_at ?? ''
      expect(Date.parse(until) - Date.now()).toBeGreaterThan(100 * 60_000)
    },
  )

  it('goes on after a failure, and tells which failed and why: exit 5', async () => {
    const { code, stdout, stderr } = await warm('no-such-model', 'qwen3:0.6b')
    expect(code).toBe(5)
    expect(stdout).toMatch(/^qwen3:0\.6b: loaded, /m)
    expect(stderr).toMatch(new RegExp(`^1 of 2 not loaded: no-such-model \\(.*pull model manifest: ${unknown}`, 'm'))
    expect(stderr).not.toContain('    at ')
  })

  it.skipIf(genuine)(
    unlessReal('tells an interrupted download, and the next run goes on where it stopped'),
    async () => {
      setFaults(box, { pullFailsAt: 0.5 })
      const first = await warm('qwen2.5:0.5b')
      expect(first.code).toBe(5)
      expect(first.stderr).toContain('could not be downloaded')
      expect(await installed()).not.toContain('qwen2.5:0.5b')
      setFaults(box, { pullMs: 2_500 })
      const second = await warm('qwen2.5:0.5b')
      setFaults(box, {})
      expect(second.code).toBe(0)
      const shares = [...second.stdout.matchAll(/downloading (\d+) MB of 398 MB/g)].map(([, done]) => Number(done))
      expect(shares.length).toBeGreaterThan(0)
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(190)
      expect(await installed()).toContain('qwen2.5:0.5b')
    },
  )

  it('downloads nothing when told so', async () => {
    const { code, stderr } = await warm('--no-pull', 'deepseek-coder:6.7b')
    expect(code).toBe(5)
    expect(stderr).toContain('deepseek-coder:6.7b is not installed, and --no-pull was given')
    expect(await installed()).not.toContain('deepseek-coder:6.7b')
  })

  it('gives one document on stdout to programs', async () => {
    const { code, stdout } = await warm('--json', 'qwen3:0.6b', 'no-such-model')
    expect(code).toBe(5)
    expect(JSON.parse(stdout)).toMatchObject([
      { model: 'qwen3:0.6b', loaded: true, size: expect.any(Number), ms: expect.any(Number) },
      { model: 'no-such-model', loaded: false, error: expect.stringMatching(unknown) },
    ])
  })

  it.skipIf(genuine)(unlessReal('says before loading that the models do not fit together'), async () => {
    writeFileSync(
      join(box.dir, 'ollama-registry.json'),
      JSON.stringify({ 'big-one': { bytes: 30e9 }, 'big-two': { bytes: 30e9 } }),
    )
    await warm('big-one', 'big-two')
    const { stdout } = await warm('big-one', 'big-two')
    const [warning = '', first = ''] = stdout.split('\n')
    expect(warning).toMatch(/^These models take about 72\.0 GB together, and this machine has \d+\.\d GB/)
    expect(first).toMatch(/^big-one: loaded/)
  })

  it.skipIf(genuine)(unlessReal('says so also when they have to be downloaded first'), async () => {
    writeFileSync(
      join(box.dir, 'ollama-registry.json'),
      JSON.stringify({ 'new-one': { bytes: 30e9 }, 'new-two': { bytes: 30e9 } }),
    )
    const { stdout } = await warm('new-one', 'new-two')
    const at = (text: RegExp) => stdout.search(text)
    expect(stdout).toMatch(/These models take about 72\.0 GB together/)
    expect(at(/These models take/)).toBeLessThan(at(/new-one: loaded/))
  })

  it('waits for an Ollama that comes late', async () => {
    await box.run(['launchctl', 'bootout', 'gui/501/com.ollama'])
    await eventually('com.ollama is gone', async () => (await job(box, 'com.ollama')) === undefined)
    const run = box.startScript('warm-models.ts', ['qwen3:0.6b'])
    await run.expect('Ollama answers on')
    await box.run(['launchctl', 'bootstrap', 'gui/501', `${box.home}/Library/LaunchAgents/com.ollama.plist`])
    expect(await run.done).toMatchObject({ code: 0, stdout: expect.stringContaining('qwen3:0.6b: loaded') })
  })

  it('loads a model for embeddings', async () => {
    expect(await warm('all-minilm')).toMatchObject({ code: 0, stdout: expect.stringContaining('all-minilm: loaded, ') })
    expect((await loaded()).map(({ name }) => name)).toContain('all-minilm:latest')
  })

  it('takes models made from the same weights for loaded, though Ollama lists only one of them', async () => {
    const { code, stdout } = await warm('tiny', 'tiny-json')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^tiny: loaded, /m)
    expect(stdout).toMatch(/^tiny-json: loaded, /m)
    expect((await loaded()).map(({ name }) => name)).not.toContain('tiny-json:latest')
  })

  it('keeps a model for ever when told so', async () => {
    expect(await warm('--keep-alive=-1', 'qwen3:0.6b')).toMatchObject({ code: 0 })
    const until = (await loaded()).find(({ name }) => name === 'qwen3:0.6b')?.expires_at ?? ''
    expect(Date.parse(until) - Date.now()).toBeGreaterThan(365 * 86_400_000)
  })

  it('refuses a name that is none, before anything is asked', async () => {
    for (const name of ['../etc/passwd', 'two words', 'x;reboot', 'x'.repeat(300)]) {
      const { code, stderr } = await warm(name)
      expect(code, name.slice(0, 20)).toBe(2)
      expect(stderr.trim().split('\n'), name.slice(0, 20)).toHaveLength(1)
    }
    expect(await warm('qwen3:0.6b', '--keep-alive', 'soon')).toMatchObject({ code: 2 })
  })

  it('asks for a name when none is given and none is in the settings', async () => {
    putSettings(box, 'models: []\n')
    const { code, stderr } = await warm()
    expect(code).toBe(2)
    expect(stderr).toContain('npx tsx warm-models.ts qwen3:0.6b')
  })
})

describe.skipIf(genuine)(unlessReal('an Ollama that cannot run any model (a bottle without llama-server)'), () => {
  it('is a miss of test.ts that quotes Ollama’s reason', async () => {
    await box.run(['ollama', 'stop', 'qwen3:0.6b'], { env: { OLLAMA_HOST: `127.0.0.1:${box.enginePort}` } })
    setFaults(box, { noLlamaServer: true })
    const { code, stdout } = await box.script('test.ts', ['--only', 'openai', '--model', 'qwen3:0.6b'])
    setFaults(box, {})
    expect(code).toBe(1)
    expect(stdout).toContain('llama-server binary not found')
    expect(stdout).toMatch(/^NOT AS PROMISED/m)
  })
})
