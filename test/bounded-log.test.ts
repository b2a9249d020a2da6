import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bounded-log-'))
  file = join(folder, 'haproxy.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const start = () => spawn('templates/bin/bounded-log', [file], { stdio: ['pipe', 'ignore', 'inherit'] })
const read = (name: string) => readFileSync(name, 'utf8')

it('writes what comes at once, for its owner alone, and ends with its input', async () => {
  const writer = start()
  writer.stdin.write('one\n')
  await vi.waitFor(() => expect(read(file)).toBe('one\n'), 20_000)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  rmSync(file)
  // What is removed under it begins anew after a while.
  const again = () => {
    writer.stdin.write('two\n')
    expect(existsSync(file)).toBe(true)
  }
  await vi.waitFor(again, { timeout: 30_000, interval: 5 })
  writer.stdin.end('last\n')
  expect((await once(writer, 'exit'))[0]).toBe(0)
  expect(read(file)).toMatch(/last\n$/)
})

it('keeps two bounded files, and loses nothing of the newest', async () => {
  const lines = Array.from({ length: 60_000 }, (_, at) => `${at} ${'x'.repeat(200)}\n`).join('')
  const writer = start()
  writer.stdin.end(lines)
  await once(writer, 'exit')
  const kept = `${read(`${file}.1`)}${read(file)}`
  expect(lines.endsWith(kept)).toBe(true)
  for (const name of [file, `${file}.1`]) expect(statSync(name).size).toBeLessThan(6_200_000)
  expect(kept.length).toBeGreaterThan(5_000_000)
})
