import { describe, expect, it } from 'vitest'
import { realHost } from './host.ts'

describe('HAProxy’s sockets', () => {
  it.each(['show info; shutdown frontend tailnet', 'show info\nshow env'])('take one command: %j', async (command) => {
    const host = realHost()
    await expect(host.ask('/nowhere', command)).rejects.toThrow('not one command')
    await expect(host.tell('/nowhere', command)).rejects.toThrow('not one command')
  })
})
