import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { sha256 } from '../host/command.ts'
import { realHost } from '../host/host.ts'
import { places } from '../platform/mac/places.ts'
import { emptyReceipt } from '../site/receipt.ts'
import { isForeign, readReceipt, takeLock, writeOurs } from './receipt.ts'

const file = '/Users/ada/.haproxy/haproxy.cfg'

describe('the receipt', () => {
  it('knows a file as we wrote it, and one edited since', async () => {
    const host = memoryHost()
    const receipt = emptyReceipt()
    await writeOurs(host, receipt, file, 'ours')
    expect(await isForeign(host, receipt, file)).toBe(false)
    host.files.set(file, 'edited')
    expect(await isForeign(host, receipt, file)).toBe(true)
  })

  it('never lets a foreign file go without a copy', async () => {
    const host = memoryHost({ files: new Map([[file, 'somebody’s own']]) })
    const receipt = emptyReceipt()
    await writeOurs(host, receipt, file, 'ours')
    expect(host.files.get(receipt.backups[0]?.backup ?? '')).toBe('somebody’s own')
    expect(host.files.get(file)).toBe('ours')
    expect((await readReceipt(host))?.files[file]).toBe(sha256('ours'))
  })

  it('keeps every copy, though a clock that was set back tells the same moment twice', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date(2026, 10, 21) })
    const host = memoryHost()
    const receipt = emptyReceipt()
    for (const text of ['one', 'two', 'three']) {
      host.files.set(file, text)
      await writeOurs(host, receipt, file, 'ours')
    }
    vi.useRealTimers()
    expect(receipt.backups.map(({ backup }) => host.files.get(backup))).toEqual(['one', 'two', 'three'])
  })

  it('that cannot be read counts as none', async () => {
    const host = memoryHost({
      files: new Map([['/Users/ada/Library/Application Support/remote-ollama-proxy/state/receipt.json', '{broken']]),
    })
    expect(await readReceipt(host)).toBeUndefined()
  })
})

describe('the lock', () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(`${tmpdir()}/lock-`)
    mkdirSync(path.dirname(lock()), { recursive: true })
  })
  afterEach(() => rmSync(home, { recursive: true }))

  const lock = () => places(home).lock
  const host = () => ({ ...realHost(), home, system: 'mac' as const })
  const left = () => readdirSync(path.dirname(lock()))
  const dead = '1 Thu Jan 1 00:00:00 1970\n'
  /** as the process that started these tests would have written it */
  const living = () => {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
    const start = execFileSync('ps', ['-o', 'lstart=', '-p', `${process.ppid}`], { env, encoding: 'utf8' })
    return `${process.ppid} ${start.trim().replaceAll(/\s+/g, ' ')}\n`
  }
  const refusal = { code: 3, message: expect.stringContaining(`process ${process.ppid}`) }

  it.each([0, 3_600_000, 86_400_000])(
    'of a dead run is taken over, and is gone after the release: %d ms ahead',
    async (ahead) => {
      writeFileSync(lock(), dead)
      const then = new Date(Date.now() + ahead)
      utimesSync(lock(), then, then)
      const release = await takeLock(host())
      expect(readFileSync(lock(), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
      await release()
      expect(left()).toEqual([])
    },
  )

  it('that another run took between the look and the take-over is put back', async () => {
    writeFileSync(lock(), dead)
    const real = host()
    const late: typeof real = {
      ...real,
      async move(from, to) {
        writeFileSync(lock(), living())
        await real.move(from, to)
      },
    }
    await expect(takeLock(late)).rejects.toMatchObject(refusal)
    expect([left(), readFileSync(lock(), 'utf8')]).toEqual([['lock'], living()])
  })

  it('that is set aside counts while its run lives', async () => {
    writeFileSync(`${lock()}.dead-4`, living())
    await expect(takeLock(host())).rejects.toMatchObject(refusal)
    expect(left()).toEqual(['lock.dead-4'])
  })

  it('of another run is not released', async () => {
    const release = await takeLock(host())
    writeFileSync(lock(), living())
    await release()
    expect(readFileSync(lock(), 'utf8')).toBe(living())
  })
})
