import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box, Running } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, installedBox } from './installed.ts'
import { at } from './witness.ts'

let box: Box
let hook: Running

const rop = (...words: string[]) => box.run([`${box.prefix}/bin/rop`, ...words], { cwd: '/' })
const launchctl = (...words: string[]) => box.run(['launchctl', ...words])

interface Found {
  id: string
  severity: string
  saw: string
  evidence?: string[]
  means?: string
  next?: string
  follows: string[]
}

async function misses(): Promise<Found[]> {
  const { stdout } = await rop('doctor', '--json')
  return (JSON.parse(stdout) as { findings: Found[] }).findings.filter(({ severity }) => severity === 'miss')
}

const port = 19_399
/** Whoever takes alerts, and prints each in a line. */
const taker = `require('http').createServer((asked, answer) => {
  asked.setEncoding('utf8').on('data', (text) => console.log(text))
  answer.end()
}).listen(${port}, '127.0.0.1')`

beforeAll(async () => {
  box = await installedBox({
    settings: `models: ['qwen3:0.6b']\nalerts: { webhook: 'http://127.0.0.1:${port}/hook' }\n`,
  })
  hook = box.start([process.execPath, '-e', taker])
})
afterAll(() => box?.close())

// Before anything is stopped, since a slow machine stops it for long enough to be alerted.
describe('a notification', () => {
  it('was tried once at the first install, so that somebody sees whether macOS shows any', async () => {
    const tried = () => box.read(`${box.dir}/opened.log`).match(/display notification/g)
    expect(tried()).toHaveLength(1)
    expect((await rop('install', '--yes')).stdout).not.toContain('A notification was sent')
    expect(tried()).toHaveLength(1)
  })
})

describe('rop doctor', () => {
  it('says in a line that nothing is wrong, and then what is advised', async () => {
    const { code, stdout } = await rop('doctor')
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Nothing is wrong: \d+ checks pass\.\n/)])
  })

  it('of a stopped gateway names one cause, what it means, what to type, and how much follows', async () => {
    await launchctl('bootout', `gui/${box.state().uid}/${labels.gateway}`)
    try {
      const { code, stdout } = await rop('doctor')
      expect(code).toBe(1)
      const lines = stdout.split('\n\n')[1]?.split('\n') ?? []
      expect(lines[0]).toBe('✗ com.haproxy is not loaded. [haproxy.service]')
      expect(lines.slice(1, -3).join('\n')).toMatch(/^ {2}seen {3}launchctl print[\s\S]*haproxy\.job\.log ends with: /)
      expect(lines.slice(-3)).toEqual([
        '  means  Nobody on another device gets an answer.',
        '  do     Run rop install again.',
        expect.stringMatching(/^ {9}\d+ more follow from this\.$/),
      ])
      expect(await misses()).toEqual([
        expect.objectContaining({ id: 'haproxy.service', follows: expect.arrayContaining(['haproxy.listens']) }),
      ])
    } finally {
      await launchctl('bootstrap', `gui/${box.state().uid}`, `${at(box).agents}/${labels.gateway}.plist`)
      await answers(box)
    }
  })

  it('shows the line of a file that somebody edited', async () => {
    const text = box.read(at(box).config)
    box.write(at(box).config, text.replace('timeout queue', '# mine\n    timeout queue'), 0o600)
    try {
      const [found] = await misses()
      expect(found).toMatchObject({
        id: 'haproxy.config',
        evidence: [expect.stringMatching(/^~\/\.haproxy\/haproxy\.cfg:\d+: # mine$/)],
      })
    } finally {
      box.write(at(box).config, text, 0o600)
    }
  })

  it('explains what a client printed, and never prints a key that is in it', async () => {
    const key = 'rop_UhQfTJdxsj1vyYIonVmNtM0TUeWZgm02PS92'
    const { code, stdout, stderr } = await rop('doctor', '--error', `Authentication failed (HTTP 401): ${key}`)
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^\[key\.refused\][\s\S]*rop keys list[\s\S]*take it out/),
    ])
    expect(stdout + stderr).not.toContain('UhQf')
    expect((await rop('doctor', '--error', 'the cat sat on the mat')).code).toBe(1)
  })
})

describe('an alert', () => {
  it('of a stopped gateway is told once, opens what rop says, and is over when it runs again', async () => {
    const events = () =>
      hook
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { event: string; state: string })
    const keys = async () => (await rop('keys', 'list')).stderr
    await eventually('no alert is open', async () => (await keys()) === '', 120_000)
    const before = events().length
    await launchctl('bootout', `gui/${box.state().uid}/${labels.gateway}`)
    await eventually('the alert is open', async () => (await keys()).startsWith('! Since '), 120_000)
    expect(await keys()).toMatch(
      /^! Since \d\d:\d\d: The gateway is down \(nobody gets an answer\)\. See: rop doctor\n/,
    )
    expect((await rop('keys', 'list', '--json')).stderr).toBe('')
    await launchctl('bootstrap', `gui/${box.state().uid}`, `${at(box).agents}/${labels.gateway}.plist`)
    await eventually('the alert is over', async () => (await keys()) === '', 120_000)
    expect(
      events()
        .slice(before)
        .filter(({ event }) => event === 'anomaly.gateway'),
    ).toEqual([
      expect.objectContaining({ state: 'open', text: expect.stringContaining('rop doctor') }),
      expect.objectContaining({ state: 'over', text: 'All right again: The gateway answers.' }),
    ])
  })
})
