import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { conversation, converse } from './runtime-api.ts'

it('a letter of two bytes that comes in two pieces is one letter', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'api-'))
  const answer = Buffer.from('é\n\n> ')
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    connection.setNoDelay(true).on('data', () => {
      connection.write(answer.subarray(0, 1))
      // Long enough for the other side to take the first byte alone.
      setTimeout(() => connection.write(answer.subarray(1)), 100)
    })
    connection.on('end', () => setTimeout(() => connection.end(), 200))
  }).listen(join(folder, 's'))
  await once(server, 'listening')
  try {
    expect(await converse(join(folder, 's'), 'show map')).toContain('é')
    expect(await conversation(join(folder, 's'), (say) => say('show map'))).toBe('é\n')
  } finally {
    server.close()
    rmSync(folder, { recursive: true })
  }
})
