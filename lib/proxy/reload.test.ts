import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { emptyReceipt } from '../state.ts'
import { reloadedJustNow, swap } from './reload.ts'

const processes = (old: number): string =>
  [
    '#<PID>          <type>          <reloads>       <uptime>        <version>',
    '100             master          40              0d00h10m00s     3.4.7-1',
    '# workers',
    '200             worker          0               0d00h00m01s     3.4.7-1',
    '# old workers',
    ...Array.from({ length: old }, (_, at) => `${300 + at}             worker          ${at + 1}`),
    '# programs',
    '',
  ].join('\n')

it.each([
  [15, ['run haproxy -c']],
  [16, []],
])('with %i earlier workers that still serve streams: %j', async (old, wanted) => {
  const host = memoryHost({ commands: { 'haproxy -c': {} } })
  const files = {
    ...host,
    ask: async (_socket: string, command: string) => (command === 'show proc' ? processes(old) : undefined),
  }
  const configuration = { text: 'setenv CFG_ID x\n', files: {}, fingerprint: 'x' }
  const change = swap(files, { receipt: emptyReceipt(), configuration, haproxy: 'haproxy' })
  if (old >= 16) await expect(change).rejects.toThrow(/still running under 16 earlier .* Nothing was changed/)
  else await change
  expect(host.ran.map((line) => `run ${line.slice(0, 10)}`)).toEqual(wanted)
  expect(host.files.size > 0).toBe(old < 16)
})

it('a reload waits until the last one is five seconds old, and says so', async () => {
  const said: string[] = []
  const ages = [3, 4, 5]
  const young = { ...memoryHost(), ask: async () => `Version: 3.4.7\nPid: 1\nUptime_sec: ${ages.shift()}\n` }
  expect(await reloadedJustNow(young, (text) => said.push(text))).toBe(true)
  expect(ages).toEqual([])
  expect(said.join()).toContain('share the next reload')
  const nobody = memoryHost()
  expect(await reloadedJustNow(nobody, (text) => said.push(text))).toBe(false)
  const old = { ...memoryHost(), ask: async () => 'Version: 3.4.7\nPid: 1\nUptime_sec: 5\n' }
  expect(await reloadedJustNow(old, (text) => said.push(text))).toBe(false)
  expect(said).toHaveLength(1)
})
