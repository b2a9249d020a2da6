import { spawnSync } from 'node:child_process'
import * as zlib from 'node:zlib'
import type { Turn } from './context.ts'
import { ApiError } from './errors.ts'
import { header } from './request.ts'

const LIMIT = 20 * 1024 * 1024
const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/** Node has zstd from 22.15 on; before that the command-line tool does it, where there is one. */
const inflate = (data: Buffer): Buffer => {
  const own: unknown = Reflect.get(zlib, 'zstdDecompressSync')
  if (typeof own === 'function') return Buffer.from(own(data) as Uint8Array)
  const run = spawnSync('zstd', ['-q', '-d', '-c'], { input: data, maxBuffer: 64 * 1024 * 1024 })
  if (run.status !== 0) throw new ApiError(400, 'unexpected EOF')
  return run.stdout
}

/** The body of a /v1 inference route: zstd is unpacked up to 20 MiB, any other coding is taken as it is. */
export const bodyFor = async (turn: Turn): Promise<Buffer> => {
  const body = await turn.request.body.read()
  if (header(turn.request, 'content-encoding') !== 'zstd') return body
  if (!body.subarray(0, 4).equals(MAGIC)) throw new ApiError(400, 'invalid input: magic number mismatch')
  const out = inflate(body)
  if (out.length > LIMIT) throw new ApiError(400, 'http: request body too large')
  return out
}
