import { generateKey } from '../lib/people/key.ts'

/** Something to measure: where it listens, what to send, and which processes work for it. */
export interface Target {
  name: string
  /** the HAProxy that it runs on, major and minor */
  version?: string
  address: string
  port: number
  host: string
  key?: string
  /** where it has the route of chat completions; the usual one when absent */
  path?: string
  pids: number[]
  /** takes so long that a round must be longer */
  slow?: boolean
}

export const key = generateKey()

export const local = (name: string, port: number, pid: number, more: Partial<Target> = {}): Target => ({
  ...{ name, address: '127.0.0.1', port, host: `127.0.0.1:${port}`, key },
  ...{ pids: [pid], ...more },
})
