import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { masked } from '../pictures/masked.ts'
import { type FirstHour, firstHour, folder, newMac } from '../pictures/scenes.ts'
import { textOf } from '../pictures/terminal.ts'
import { cannot, titled } from './witness.ts'

describe.skipIf(cannot)(titled('the first hour, as the pages show it'), () => {
  let box: Box
  let hour: FirstHour
  beforeAll(async () => {
    box = await newMac()
    hour = await firstHour(box)
  })
  afterAll(() => box?.close())

  /** Of the time that a request takes a busy machine may miss what is promised, and all that comes after is then otherwise. */
  const untilProof = (text: string): string => text.replace(/^(✗ The gateway adds|✓ Proof)[\s\S]*/m, '')

  it('asks four questions before the first answer', () => {
    expect(hour.watch.questions).toBe(4)
  })

  it('shows at most 60 lines from the first command to the first answer', () => {
    const { code, lines } = hour.scenes.install ?? { code: 0, lines: [] }
    const count = (text: string) => text.split('\n').length
    const ofMiss = code === 0 ? 0 : count(textOf(lines)) - count(untilProof(textOf(lines)))
    expect(hour.watch.lines - ofMiss).toBeLessThanOrEqual(60)
  })

  it.each(['install', 'status', 'apply', 'keys-add', 'watch', 'report', 'doctor', 'keys-revoke', 'uninstall'])(
    '%s shows what is recorded of it (npm run pictures makes it anew)',
    (name) => {
      const { typed, lines, code } = hour.scenes[name] ?? { typed: name, lines: [], code: 0 }
      const same = (text: string) => masked(name === 'install' && code !== 0 ? untilProof(text) : text)
      expect(same(`$ ${typed}\n${textOf(lines)}\n`)).toBe(same(readFileSync(`${folder}/${name}.txt`, 'utf8')))
    },
  )
})
