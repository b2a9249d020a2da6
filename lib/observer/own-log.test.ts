import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { realHost } from '../host/host.ts'
import { places } from '../platform/mac/places.ts'
import { ownLog } from './own-log.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'own-log-'))
})
afterEach(() => rmSync(home, { recursive: true }))

const host = () => ({ ...realHost(), home, system: 'mac' as const })
const file = () => `${places(home).logs}/observer.log`

test('what the observer says stays bounded while it runs, in the file that its job has open', async () => {
  await ownLog.run(host())
  mkdirSync(places(home).logs, { recursive: true })
  appendFileSync(file(), 'x'.repeat(900_000))
  const { ino } = statSync(file())
  await ownLog.run(host())
  expect(statSync(file()).size).toBe(900_000)
  appendFileSync(file(), 'x'.repeat(200_000))
  await ownLog.run(host())
  appendFileSync(file(), 'later\n')
  expect([readFileSync(file(), 'utf8'), statSync(file()).ino]).toEqual(['later\n', ino])
})
