import { expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { forget, keep, kept, launchFolder } from './launch-kept.ts'
import { reach } from './reached.ts'

const ui = {} as Parameters<typeof reach>[1]
const first = 'http://studio.ts.net:11434'

it('remembers the last server and the key of each, and names a key to its own server only', async () => {
  const host = memoryHost()
  await keep(host, { server: first })
  await keep(host, { keys: { [first]: 'rop_FIRST' } })
  expect(await reach(host, ui, {})).toMatchObject({ base: first, key: 'rop_FIRST' })
  await keep(host, { server: 'http://other.ts.net:11434' })
  expect(await reach(host, ui, {})).not.toHaveProperty('key')
  expect(await reach(host, ui, { server: 'studio.ts.net' })).toMatchObject({ key: 'rop_FIRST' })
})

it('takes back what it wrote, and leaves what somebody else put there', async () => {
  const host = memoryHost()
  await keep(host, { files: ['qwen.json'] })
  await host.write(`${launchFolder(host)}/qwen.json`, '{}')
  await host.write(`${launchFolder(host)}/notes.txt`, 'mine')
  expect((await forget(host)).map((file) => file.split('/').pop())).toEqual(['qwen.json', 'receipt.json'])
  expect([await kept(host), await host.list(launchFolder(host))]).toEqual([undefined, ['notes.txt']])
})

it('takes no address and no number of tokens that are none', async () => {
  const host = memoryHost()
  await expect(reach(host, ui, {})).rejects.toMatchObject({ code: 2 })
  await expect(reach(host, ui, { server: 'studio', context: '64k' })).rejects.toMatchObject({ code: 2 })
  await expect(reach(host, ui, { server: 'studio', model: 'a b' })).rejects.toMatchObject({ code: 2 })
})
