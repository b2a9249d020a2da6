import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as zlib from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exchange, jsonRequest, type Row, type Running, startServer } from './harness.ts'
import { chunkCount, essence } from './likeness.ts'
import { TOYS } from './registry.ts'

const FOLDER = join(import.meta.dirname, '..', '..', 'transcripts', 'ollama')
const ORDER = readFileSync(join(FOLDER, 'ORDER.txt'), 'utf8').trim().split('\n')

/** Recorded cases that the stand-in does not play, and why. */
const LEFT_OUT: Record<string, string> = {
  'generate-logprobs': 'log-probabilities: no client of the gateway is tested with them',
  'v1chat-logprobs': 'log-probabilities: no client of the gateway is tested with them',
  'show-verbose': 'the token list of the toy vocabulary; nobody asks for it',
}

/** Node before 22.15 unpacks zstd only with the command-line tool. */
const unpacksZstd = 'zstdDecompressSync' in zlib || spawnSync('zstd', ['--version']).status === 0
const played = ORDER.filter((name) => !(name in LEFT_OUT) && name !== 'v1chat-zstd')

let server: Running

beforeAll(async () => {
  server = await startServer({}, { pullMs: 0 })
  for (const model of Object.keys(TOYS)) {
    await exchange(server.port, jsonRequest('POST', '/api/pull', { model, stream: false }), 'POST')
  }
  server.faults({ offline: true })
})

afterAll(async () => {
  await server.stop()
})

const readRows = (name: string): Row[] =>
  readFileSync(join(FOLDER, 'v0.24.0', `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)

const BIG_HEADER = `GET /api/version HTTP/1.1\r\nHost: 127.0.0.1:11434\r\nX-Pad: ${'a'.repeat(1_100_000)}\r\n\r\n`

/** The recorded request as bytes; the one head that was too long to keep is made again. */
const requestBytes = (rows: Row[]): Buffer => {
  const request = rows.find((row) => row.ev === 'request')
  const head = request?.head?.startsWith('(') ? BIG_HEADER : (request?.head ?? '')
  const body = request?.b64 === undefined ? Buffer.from(request?.data ?? '') : Buffer.from(request.b64, 'base64')
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}

test('every transcript has its place in the order, and every case left out has a transcript', () => {
  const files = readdirSync(join(FOLDER, 'v0.24.0')).map((file) => file.replace(/\.jsonl$/, ''))
  expect([...files].sort()).toEqual([...ORDER].sort())
  expect(Object.keys(LEFT_OUT).filter((name) => !files.includes(name))).toEqual([])
})

const replay = async (name: string): Promise<void> => {
  const recorded = readRows(name)
  const bytes = requestBytes(recorded)
  const method = bytes.toString('latin1', 0, 10).split(' ')[0] ?? ''
  const patience = recorded.some((row) => row.how === 'server closed') ? 5000 : 6
  const answer = await exchange(server.port, bytes, method, { patience })
  expect(essence(name, answer)).toEqual(essence(name, recorded))
  expect(Math.abs(chunkCount(answer) - chunkCount(recorded))).toBeLessThanOrEqual(1)
}

test.each(played)('%s is answered as the real server answered it', replay)
test.skipIf(!unpacksZstd)('v1chat-zstd is answered as the real server answered it', () => replay('v1chat-zstd'))
