import * as fs from 'node:fs/promises'
import http from 'node:http'

/** Answers GET requests on one address; what its caller knows, as text. */
export interface Served {
  close(): Promise<void>
}

/** Answers a GET by its path: a text, or undefined for 404. Loopback names alone count as Host, so no web page reads it by DNS rebinding. Rejects when the address is taken. */
export function serveText(
  address: string,
  port: number,
  answer: (path: string) => Promise<string | undefined>,
): Promise<Served> {
  const server = http.createServer(async (request, response) => {
    const here = /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')
    const text = here && request.method === 'GET' ? await answer(request.url ?? '').catch(() => undefined) : undefined
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    response.end(text ?? 'not here\n')
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () =>
      resolve({
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          }),
      }),
    )
  })
}

/** What is answered to a GET on a socket; JSON unless its headers say otherwise. */
export interface Said {
  status: number
  text: string
  headers?: Record<string, string>
}

/** What a GET on a socket asks: its target, and the value of one header ('' without it). */
export interface Asking {
  target: string
  header(name: string): string
}

const asking = ({ url = '', headers }: http.IncomingMessage): Asking => ({
  target: url,
  header: (name) => [headers[name] ?? ''].flat().join(),
})

/** Answers GET requests on a socket of this mode; takes its path over from whoever had it. Rejects when the path cannot be made. */
export async function serveSocket(path: string, mode: number, answer: (asked: Asking) => Promise<Said>): Promise<void> {
  await fs.rm(path, { force: true })
  const server = http.createServer(async (request, response) => {
    const said: Said = await answer(asking(request)).catch(() => ({ status: 500, text: '{}' }))
    const { status, text, headers = {} } = said
    const length = `${Buffer.byteLength(text)}`
    response.writeHead(status, {
      ...{ 'content-type': 'application/json', 'content-length': length, connection: 'close' },
      ...headers,
    })
    response.end(text)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  await fs.chmod(path, mode)
}

/** What a program answers to a GET on its unix socket; undefined when nobody does within 2 s. */
export function getFromSocket(socketPath: string, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const outgoing = http.get({ socketPath, path, timeout: 2000, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve(response.statusCode === 200 ? text : undefined))
      response.on('error', () => resolve(undefined))
    })
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', () => resolve(undefined))
  })
}
