import { describe, expect, it } from 'vitest'
import { realHost } from './host.ts'

describe('HAProxy’s sockets', () => {
  it.each(['show info; shutdown frontend tailnet', 'show info\nshow env'])('take one command: %j', async (command) => {
    const host = realHost()
    await expect(host.ask('/nowhere', command)).rejects.toThrow('not one command')
    await expect(host.tell('/nowhere', command)).rejects.toThrow('not one command')
  })
  it.each(['', 'one\n\nshutdown frontend tailnet'])(
    'take no payload with the line %j, which would end it',
    async (line) => {
      await expect(realHost().tell('/nowhere', 'add map @1 #1', ['good', line])).rejects.toThrow('not one line')
    },
  )
})
