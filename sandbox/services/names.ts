import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'

/** In the place of a DNS for programs beside a gateway: whatever name they want, they are led to this address. */
export interface Names {
  /** for a program's environment */
  env: Record<string, string>
  stop(): Promise<void>
}

/** Starts it: a proxy (HTTP's CONNECT) that dials one address, on the port that is asked for. */
export async function startNames(address: string): Promise<Names> {
  const server = createServer((_, response) => response.writeHead(405).end())
  const open = new Set<{ destroy(): void }>()
  server.on('connect', ({ url = '' }, client) => {
    const there = connect(Number(url.split(':').at(-1)), address, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      there.pipe(client).pipe(there)
    })
    for (const one of [client, there]) {
      open.add(one)
      one.on('error', () => [client, there].forEach((each) => void each.destroy()))
      one.on('close', () => open.delete(one))
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const at = server.address()
  if (at === null || typeof at === 'string') throw new Error('no port')
  return {
    env: { HTTPS_PROXY: `http://127.0.0.1:${at.port}`, NO_PROXY: '127.0.0.0/8,127.0.0.1,localhost' },
    async stop() {
      const closed = once(server, 'close')
      server.close()
      for (const one of open) one.destroy()
      await closed
    },
  }
}
