import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkout } from '../../box/paths.ts'

/** What Go's decoders take for the model of a body: json.Decoder's opinion, then json.Unmarshal's; null is none. */
export type Opinions = [string | null, string | null]

export interface Decoder {
  decode(body: Buffer): Promise<Opinions>
  stop(): Promise<void>
}

interface Waiting {
  resolve(opinions: Opinions): void
  reject(why: Error): void
}

/** Compiles decode.go with the standard library alone, and without the network. */
function compile(go: string, folder: string): string {
  const file = join(folder, 'decode')
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local', GOWORK: 'off' }
  execFileSync(go, ['build', '-o', file, join(checkout, 'sandbox/attacks/differential/decode.go')], {
    env,
    cwd: folder,
  })
  return file
}

/** Compiles and starts Go's decoders; bodies are answered in the order in which they were asked. */
export function startDecoder(go: string): Decoder {
  const folder = mkdtempSync(join(tmpdir(), 'decode-'))
  const child = spawn(compile(go, folder), { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting: Waiting[] = []
  const gone = once(child, 'exit').then(() => {
    for (const one of waiting) one.reject(new Error('the decoder ended'))
  })
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.resolve(JSON.parse(line) as Opinions))
  return {
    decode: (body) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        child.stdin.write(`${body.toString('base64')}\n`)
      }),
    async stop() {
      child.stdin.end()
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
