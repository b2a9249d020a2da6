import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bounded-file-'))
  file = join(folder, 'access.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

it('a file that grows too large is begun anew, with one older copy for its owner alone, until its writer ends', async () => {
  const writer = spawn('sleep', ['600'])
  const keeper = spawn('templates/bin/bounded-file', [file, `${writer.pid}`, '1000'], { stdio: 'inherit' })
  const ended = once(keeper, 'exit')
  try {
    writeFileSync(file, 'small\n')
    await vi.waitFor(() => expect(existsSync(file)).toBe(true))
    appendFileSync(file, `${'x'.repeat(1000)}\n`)
    await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe(''), 20_000)
    expect(readFileSync(`${file}.1`, 'utf8')).toBe(`small\n${'x'.repeat(1000)}\n`)
    expect(statSync(`${file}.1`).mode & 0o777).toBe(0o600)
  } finally {
    writer.kill()
  }
  expect(await ended).toEqual([0, null])
})
