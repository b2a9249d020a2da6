import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Box } from '../box/box.ts'
import { checkout } from '../box/paths.ts'
import { byCommand, byInstall, shown, typed } from './remedies.ts'
import { at, installed, modest, quickBox, run, told } from './witness.ts'

let box: Box

beforeAll(async () => {
  box = await quickBox()
  box.write(at(box).settings, `${modest}access: either\npeople: { ann@example.com: {} }\n`)
  await installed(box)
})
afterAll(() => box?.close())

/** What test.ts misses of these checks, with the remedies that it names. */
async function missed(ids: string[]): Promise<Map<string, string>> {
  const misses = (await shown(box, ids)).filter(({ state }) => state === 'missed')
  return new Map(misses.map(({ id, remedy = '' }) => [id, remedy]))
}

test('everything that install.ts brings about is missed when it is harmed, and there again after install.ts', async () => {
  const ids = Object.keys(byInstall)
  for (const harm of Object.values(byInstall)) await harm(box)
  const before = await missed(ids)
  expect([...before.keys()].sort()).toEqual([...ids].sort())
  for (const [id, remedy] of before) expect(remedy, id).toMatch(/install\.ts|status\.ts|warm-models|chmod/)
  const outcome = await run(box, 'install.ts', '--yes')
  expect([...(await missed(ids)).keys()], told(outcome)).toEqual([])
})

test.each(Object.entries(byCommand))('%s: the command that its remedy names mends it', async (id, harm) => {
  await harm(box)
  const remedy = (await missed([id])).get(id)
  expect(remedy).toBeDefined()
  const { code, stdout, stderr } = await box.run(['sh', '-c', typed(remedy ?? '')], { cwd: checkout })
  expect(code, `${remedy}\n${stdout}${stderr}`).toBe(0)
  await expect.poll(async () => [...(await missed([id])).keys()], { timeout: 60_000, interval: 500 }).toEqual([])
})
