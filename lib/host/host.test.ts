import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { signs } from '../observer/sign.ts'
import { places } from '../platform/mac/places.ts'
import { openLog, realHost, realLook } from './host.ts'

describe('HAProxy’s sockets', () => {
  it.each(['show info; shutdown frontend tailnet', 'show info\nshow env'])('take one command: %j', async (command) => {
    const host = realHost()
    await expect(host.ask('/nowhere', command)).rejects.toThrow('not one command')
    await expect(host.tell('/nowhere', command)).rejects.toThrow('not one command')
  })
  it.each(['', 'one\n\nshutdown frontend tailnet'])(
    'take no payload with the line %j, which would end it',
    async (line) => {
      await expect(realHost().tell('/nowhere', 'add map @1 #1', ['good', line])).rejects.toThrow('not one line')
    },
  )
})

describe('a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'host-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('that several write at once is always whole, and none of them fails', async () => {
    const file = join(folder, 'shared')
    const text = (at: number) => `${at}`.repeat(10_000)
    await Promise.all(Array.from({ length: 40 }, (_, at) => realHost().write(file, text(at % 10))))
    expect(new Set(readFileSync(file, 'utf8')).size).toBe(1)
    expect(readdirSync(folder)).toEqual(['shared'])
  })

  it.each([
    ['a minute ago', -60_000],
    ['an hour ahead, by a clock that was set back since', 3_600_000],
    ['a day ahead', 86_400_000],
  ])('is written although a run was killed while it wrote it %s', async (_when, ms) => {
    const file = join(folder, 'left')
    writeFileSync(`${file}.writing`, 'half')
    const then = new Date(Date.now() + ms)
    utimesSync(`${file}.writing`, then, then)
    await realHost().write(file, 'whole', 0o644)
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['whole', 0o644])
  })
})

describe('the whole drive', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flush-'))
  const host = { ...realHost(), home: folder, system: 'mac' as const }
  afterAll(() => rmSync(folder, { recursive: true }))

  /** How often the work has the disk write down all that it has. */
  async function flushes(work: () => Promise<void>): Promise<number> {
    const handle = await open(folder)
    const spied = vi.spyOn(Object.getPrototypeOf(handle), 'sync')
    await handle.close()
    await work()
    const times = spied.mock.calls.length
    spied.mockRestore()
    return times
  }

  it('is flushed for what must outlast a power cut, such as a key', async () => {
    expect(await flushes(() => host.write(join(folder, 'keys.json'), '{}'))).toBe(1)
  })

  it('is not flushed for a sign of life, which comes every five seconds', async () => {
    expect(
      await flushes(() =>
        signs(
          () => [],
          () => ({ unreadable: 0, gaps: 0 }),
        ).run(host),
      ),
    ).toBe(0)
    expect(readFileSync(places(folder).observer, 'utf8')).toContain('"faults":[]')
    expect(statSync(places(folder).observer).mode & 0o777).toBe(0o600)
  })
})

describe('a clock that is set back', () => {
  afterEach(() => vi.useRealTimers())

  it('makes nobody wait longer', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const started = performance.now()
    const waited = realLook().until('never', 300, async () => {
      vi.setSystemTime(Date.now() - 3_600_000)
      return performance.now() - started > 20_000
    })
    expect(await waited).toBe(false)
  })

  it('takes no run its own log, though all others have later names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'logs-'))
    for (let at = 10; at < 45; at += 1) writeFileSync(join(folder, `2099-01-01T00-00-${at}.log`), '')
    const log = await openLog(join(folder, '2026-11-21T12-00-00.log'))
    log.note('here')
    await log.close()
    expect(readFileSync(join(folder, '2026-11-21T12-00-00.log'), 'utf8')).toContain('here')
    expect(readdirSync(folder)).toHaveLength(31)
    rmSync(folder, { recursive: true })
  })
})

describe('a long wait', () => {
  /** Waits with a clock of the test's, which every look at it moves on. */
  async function waits(names: string[], withinMs: number, ready: number): Promise<string[]> {
    const told: string[] = []
    let now = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      now += 1000
      return now
    })
    const look = realLook(undefined, (line) => told.push(line))
    for (const name of names) {
      const begun = now
      await look.until(name, withinMs, async () => now - begun >= ready, 1)
    }
    clock.mockRestore()
    return told
  }

  it('is told once, by its name and its end', async () => {
    expect(await waits(['Ollama answers'], 120_000, 9000)).toEqual(['Waiting until Ollama answers, 2 minutes at most.'])
    expect(await waits(['it is so', 'it is so'], 10_000, 20_000)).toEqual(['Waiting until it is so, 10 s at most.'])
  })

  it('that ends soon, that must, or that was told already is not', async () => {
    expect(await waits(['it is so'], 10_000, 1000)).toEqual([])
    expect(await waits(['it is so'], 5000, 20_000)).toEqual([])
    expect(await waits([''], 10_000, 20_000)).toEqual([])
  })
})

it('no log of a run has the hash of a key, by which its owner could be told', async () => {
  const noted: string[] = []
  const hash = '15CC8DE0B17B271CB6E71B12EAAD96B2C998944C5E7124EF52A0C1F158CF3AEB'
  await expect(realHost((line) => noted.push(line)).tell('/nowhere', `add map #1 ${hash} ann`)).rejects.toThrow()
  expect(noted).toEqual(['tell nowhere: add map #1 HASH ann'])
})
