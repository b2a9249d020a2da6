import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFaults } from './faults.ts'
import type { Request } from './request.ts'

/** Writes what the engine received to `<box>/ollama-requests.jsonl`: the evidence that hostile tests read. */
export class Journal {
  private readonly file: string
  private readonly box: string
  private readonly noted = new Set<number>()

  constructor(box: string) {
    this.box = box
    this.file = join(box, 'ollama-requests.jsonl')
  }

  /** One line for a request, with its head as it came and what arrived of its body; written once. */
  request(request: Request): void {
    if (this.noted.has(request.id)) return
    this.noted.add(request.id)
    this.append({
      event: 'request',
      id: request.id,
      at: request.at.toISOString(),
      method: request.method,
      target: request.target,
      version: request.version,
      headers: request.headers,
      head: request.raw.toString('latin1', 0, 65_536),
      framing: request.body.frame.kind,
      bytes: request.body.bytes,
      sha256: request.body.sha256,
      complete: request.body.complete,
      trailers: request.body.trailers,
      from: request.address,
    })
  }

  /** Bytes that are not a request at all. */
  refused(raw: Buffer, status: string): void {
    this.append({ event: 'refused', at: new Date().toISOString(), head: raw.toString('latin1', 0, 65_536), status })
  }

  hungUp(request: Request): void {
    this.append({ event: 'hung-up', id: request.id, at: new Date().toISOString() })
  }

  answered(request: Request, status: number, ms: number): void {
    this.noted.delete(request.id)
    this.append({ event: 'answered', id: request.id, at: new Date().toISOString(), status, ms })
  }

  private append(row: unknown): void {
    if (this.box === '' || readFaults(this.box).unrecorded) return
    appendFileSync(this.file, `${JSON.stringify(row)}\n`)
  }
}

const two = (value: number): string => String(value).padStart(2, '0')
const took = (ms: number): string => {
  if (ms < 1) return `${(ms * 1000).toFixed(3)}µs`
  return ms < 1000 ? `${ms.toFixed(6)}ms` : `${(ms / 1000).toFixed(9)}s`
}

/** One line of gin's access log. */
export const ginLine = (request: Request, status: number, ms: number): string => {
  const at = new Date()
  const day = `${at.getFullYear()}/${two(at.getMonth() + 1)}/${two(at.getDate())}`
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  const left = `[GIN] ${day} - ${clock} | ${String(status).padStart(3)} | ${took(ms).padStart(13)} | ${request.address.padStart(15)} |`
  const query = request.query ? `?${request.query}` : ''
  return `${left} ${request.method.padEnd(8)} ${JSON.stringify(request.path + query)}\n`
}
