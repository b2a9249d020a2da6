import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { realHost } from './host.ts'

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

  it('is written although a run was killed while it wrote it', async () => {
    const file = join(folder, 'left')
    writeFileSync(`${file}.writing`, 'half')
    const past = new Date(Date.now() - 60_000)
    utimesSync(`${file}.writing`, past, past)
    await realHost().write(file, 'whole', 0o644)
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['whole', 0o644])
  })
})
