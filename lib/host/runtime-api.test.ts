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
  const server = createServer((connection) => {
    connection.setNoDelay(true).once('data', () => {
      connection.write(answer.subarray(0, 1), () => setImmediate(() => connection.write(answer.subarray(1))))
      connection.once('data', () => connection.end(answer))
      connection.once('end', () => connection.end())
    })
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
