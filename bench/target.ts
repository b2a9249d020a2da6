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
  /** the name that handshakes ask for, where it speaks TLS */
  tls?: string
  pids: number[]
  /** takes so long that a round must be longer */
  slow?: boolean
}

export const key = generateKey()

export const local = (name: string, port: number, pid: number, more: Partial<Target> = {}): Target => ({
  ...{ name, address: '127.0.0.1', port, host: `127.0.0.1:${port}`, key },
  ...{ pids: [pid], ...more },
})

export const headersOf = ({ host, key }: Target): Record<string, string> => ({
  Host: host,
  ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
})

export const pathOf = ({ path = '/v1/chat/completions' }: Target): string => path
