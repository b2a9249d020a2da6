import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Box, createBox, differences, type Outcome } from '../box/box.ts'
import { readRecording } from '../real-mac/recorder/recording.ts'
import type { Row } from '../real-mac/step.ts'
import { eventually } from './await.ts'
import { cannot, everything, patience, titled, told } from './witness.ts'

/** Where the steps of a box put their rows and what they keep. */
const results = '/tmp/real-mac'

/** The names and addresses of the box's Mac and its owner. */
const secrets = [/\bada\b/i, /Lovelace/, /tail0lab/, /studio/i, /192\.168\.78/, /\/Users\/ada/, /example\.com/]

describe.skipIf(cannot)(titled('the proof on a real Mac, as far as a box can be one'), () => {
  let box: Box
  beforeAll(async () => {
    const mac = { launchd: { throttleMs: 400 }, pmset: { ac: { sleep: 0, autorestart: 1 } } }
    box = await createBox({ preset: 'ready', mac })
  })
  afterAll(() => box?.close())

  const run = (name: string, ...words: string[]): Promise<Outcome> =>
    box.script(`sandbox/real-mac/${name}`, words, { timeoutMs: patience, env: { REAL_MAC_RESULTS: results } })

  const row = (name: string): Row | undefined =>
    box
      .read(`${results}/rows.jsonl`)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Row)
      .findLast(({ step }) => step === name)

  /** Runs a step, which must miss nothing; gives its row. */
  async function passes(name: string, ...words: string[]): Promise<Row> {
    const outcome = await run(`${name}.ts`, ...words)
    const found = row(name)
    expect(found?.missed, told(outcome)).toEqual([])
    expect(outcome.code, told(outcome)).toBe(0)
    return found as Row
  }

  it('says what a step could not try where nothing is installed yet, and why', async () => {
    const { passed, skipped } = await passes('master', '--times', '3')
    expect([passed, skipped]).toEqual([0, ['everything (nothing is installed here: run install.ts first)']])
    expect((await passes('tailnet')).skipped[0]).toContain('this machine is on one already')
    expect((await passes('laptop')).skipped[0]).toContain('there is no second node here')
  })

  it('records facts and launchctl’s answers, without the owner’s names', async () => {
    expect((await passes('facts')).passed).toBe(2)
    await passes('launchd')
    const recorded = readRecording(box.outside(`${results}/launchd/${box.state().macos}`))
    expect(recorded.find(({ name }) => name === 'bootstrap.loaded')).toMatchObject({ exit: 5 })
    const all = [box.read(`${results}/facts/facts.json`), ...recorded.map((one) => JSON.stringify(one))].join('\n')
    for (const secret of secrets) expect(all).not.toMatch(secret)
    expect(all).toContain('inet 100.64.0.1')
  })

  it('records an owner’s Mac in one file, after asking, and leaves nothing', async () => {
    const before = everything(box)
    const disabled = async () => (await box.run(['launchctl', 'print-disabled', 'gui/501'])).stdout
    const remembered = await disabled()
    const asked = await run('record.ts', '--file', '/tmp/recorded.json')
    expect([asked.code, asked.stderr]).toEqual([2, 'Nobody can be asked here; run npm run record -- --yes.\n'])
    expect(box.exists('/tmp/recorded.json')).toBe(false)
    const outcome = await run('record.ts', '--yes', '--file', '/tmp/recorded.json')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(differences(before, everything(box))).toEqual([])
    expect((await box.run(['launchctl', 'list'])).stdout).not.toContain('recorder')
    expect(await disabled()).toBe(remembered)
    const text = box.read('/tmp/recorded.json')
    for (const secret of secrets) expect(text).not.toMatch(secret)
    const unpacked = await run('record.ts', '--unpack', '/tmp/recorded.json', '--into', '/tmp/launchd')
    expect(unpacked.code, told(unpacked)).toBe(0)
    expect(readRecording(box.outside(`/tmp/launchd/${box.state().macos}`))).toEqual(JSON.parse(text).launchd)
  })

  it('removes what it made for a recording that is interrupted', async () => {
    const before = everything(box)
    const recording = box.startScript('sandbox/real-mac/record.ts', ['--yes', '--file', '/tmp/half.json'])
    const agents = () => readdirSync(box.outside('Library/LaunchAgents')).filter((name) => name.includes('recorder'))
    await eventually('its job is loaded', () => agents().length > 0, patience)
    recording.kill('SIGINT')
    const outcome = await recording.done
    expect([outcome.code, outcome.stderr]).toEqual([130, 'Interrupted; what was made for it is removed.\n'])
    expect(differences(before, everything(box))).toEqual([])
    expect((await box.run(['launchctl', 'list'])).stdout).not.toContain('recorder')
    expect(box.exists('/tmp/half.json')).toBe(false)
  })

  it('installs, finds nothing to do, and proves', async () => {
    expect((await passes('install')).passed).toBe(8)
    expect((await passes('again')).passed).toBe(2)
    const proof = await passes('proof', '--only', 'refused', '--only', 'hostile.advisory')
    expect(proof.passed).toBeGreaterThan(15)
    await passes('laptop', '--to', `${box.address}:${box.port}`)
  })

  it('is asked from another machine of the tailnet', async () => {
    const words = ['--to', `${box.address}:${box.port}`]
    const env = { REAL_MAC_RESULTS: results }
    const outcome = await box.script('sandbox/real-mac/laptop.ts', words, { on: 'laptop', env, timeoutMs: patience })
    expect([outcome.code, row('laptop')?.missed], told(outcome)).toEqual([0, []])
  })

  it('counts losses: of commands, keys, reloads and lines of the log', async () => {
    expect((await passes('master', '--times', '20')).noted).toEqual([
      '0 of 20 commands through the master came back empty',
    ])
    expect((await passes('keys', '--rounds', '2')).noted[0]).toContain('2 keys added and revoked; 0 times')
    expect((await passes('reloads', '--times', '3')).noted[0]).toMatch(
      /^[1-9]\d* streams came to their end; 0 complaints/,
    )
    expect((await passes('log', '--count', '200', '--together', '20')).noted).toEqual(['200 lines, 0 counted as lost'])
  })

  it('lives through kills, restarts, Tailscale’s and Homebrew’s ways, and other Ollamas', async () => {
    expect((await passes('life')).skipped).toEqual([])
    expect((await passes('others')).skipped).toEqual([
      'an Ollama that listens everywhere (this kernel gives no wildcard a port that one address has)',
    ])
  })

  it('a miss ends a step with 1 and stands in the table', async () => {
    await box.run(['launchctl', 'bootout', 'gui/501/com.haproxy'])
    const outcome = await run('master.ts', '--times', '2')
    expect(outcome.code).toBe(1)
    const summary = await box.script('sandbox/real-mac/summary.ts', [], {
      env: { REAL_MAC_RESULTS: results, GITHUB_STEP_SUMMARY: '/tmp/summary.md' },
    })
    expect(summary.code, told(summary)).toBe(0)
    expect(box.read('/tmp/summary.md')).toMatch(/\| master \| 0 \| 1 \| \d+ s \| ✗ the master names its worker \|/)
    expect(box.read('/tmp/summary.md')).toMatch(/^\| step \| passed \| missed \| took \| seen \|$/m)
  })

  it('leaves nothing, and keeps what is worth keeping', async () => {
    const kept = await box.run(['sh', 'sandbox/real-mac/collect.sh'], {
      env: { REAL_MAC_RESULTS: results },
      cwd: process.cwd(),
    })
    expect(kept.stdout, told(kept)).toContain('haproxy.cfg')
    await passes('install')
    await passes('uninstall')
  })
})
