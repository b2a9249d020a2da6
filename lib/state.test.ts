import { describe, expect, it } from 'vitest'
import { memoryHost } from '../test/memory-host.ts'
import { sha256 } from './command.ts'
import { emptyReceipt, isForeign, readReceipt, writeOurs } from './state.ts'

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

  it('that cannot be read counts as none', async () => {
    const host = memoryHost({
      files: new Map([['/Users/ada/Library/Application Support/remote-ollama-proxy/state/receipt.json', '{broken']]),
    })
    expect(await readReceipt(host)).toBeUndefined()
  })
})
