import { expect, it, vi } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { askingOnce } from './look.ts'

const counting = () => {
  let count = 0
  const query = vi.fn(async () => ({ code: 0, stdout: `${++count}`, stderr: '' }))
  return { look: askingOnce({ ...memoryHost(), query }), query }
}

it('a pass of checks asks the machine each question once', async () => {
  const { look, query } = counting()
  const said = await Promise.all([look.query(['lsof']), look.query(['lsof']), look.query(['netstat'])])
  expect(said.map(({ stdout }) => stdout)).toEqual(['1', '1', '2'])
  expect((await look.query(['lsof'])).stdout).toBe('1')
  await look.query(['lsof'], { timeoutMs: 1 })
  expect(query).toHaveBeenCalledTimes(3)
})

it('who waits for a change asks anew each time, and so does whoever comes after', async () => {
  const { look } = counting()
  await look.query(['lsof'])
  expect(await look.until('three', 10_000, async () => (await look.query(['lsof'])).stdout === '3')).toBe(true)
  expect((await look.query(['lsof'])).stdout).toBe('3')
})
