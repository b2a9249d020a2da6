import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'
import { places } from '../../lib/platform/mac/places.ts'
import { pemName } from '../../lib/site/tls.ts'
import { eventually, freePort, type GatewayOptions, type RunningGateway, startGateway } from './gateway.ts'
import { request } from './raw.ts'
import type { Recorder } from './recorder.ts'

/** A gateway that also speaks TLS, with these PEMs by name. */
export interface Secured {
  gateway: RunningGateway
  port: number
  /** a connection by TLS that asks for a name */
  call(name: string): Promise<TLSSocket>
}

/** Starts it. Listeners with TLS come by `alter`, so that what is served is told apart from how it is configured. */
export async function secured(options: GatewayOptions, pems: Record<string, string>): Promise<Secured> {
  let port = 0
  const bind = (text: string): string => {
    const [line = '', address = ''] = /^ {4}bind ([\d.]+):\d+.*$/m.exec(text) ?? []
    const written = / (\/(?:\\ |[^\s"])+?)\/\.haproxy\//.exec(text)?.[1]
    if (written === undefined) throw new Error('no path of ours is in the configuration')
    const { certs } = places(written.replaceAll('\\ ', ' '))
    mkdirSync(certs, { recursive: true, mode: 0o700 })
    const list = Object.entries(pems).map(([name, pem]) => {
      writeFileSync(`${certs}/${pemName(name)}`, pem, { mode: 0o600, flag: 'a' })
      return `${pemName(name)} [alpn http/1.1] ${name}\n`
    })
    writeFileSync(`${certs}/list`, list.join(''))
    const folder = places(written).certs
    return text
      .replace('global\n', `global\n    crt-base ${folder}\n`)
      .replace(line, `${line}\n    bind ${address}:${port} ssl crt-list ${folder}/list strict-sni`)
  }
  port = await freePort('127.0.0.1')
  const gateway = await startGateway({ ...options, alter: bind })
  return {
    gateway,
    port,
    async call(name) {
      const socket = connect({ host: gateway.address, port, servername: name, rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      return socket
    },
  }
}

/** A stream over TLS that runs until it is told to end. */
export interface Running {
  /** what came so far */
  text(): string
  /** has the engine end it, and gives whether it came whole */
  whole(): Promise<boolean>
}

/** Begins one with the gateway, and gives it once its first event is there. */
export async function running({ call }: Pick<Secured, 'call'>, engine: Recorder, name: string): Promise<Running> {
  let over = false
  engine.answer = async (wire) => {
    wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let index = 0; !over; index += 1) {
      wire.chunk(`data: ${index}\n\n`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    wire.chunk('data: last\n\n')
    wire.end()
  }
  const socket = await call(name)
  let text = ''
  socket.setEncoding('utf8').on('data', (piece) => {
    text += piece
  })
  socket.write(request('POST /v1/messages HTTP/1.1', [`Host: ${name}`, 'Connection: close'], '{"model":"m"}'))
  await eventually('the stream runs', () => text.includes('data: 2\n'))
  return {
    text: () => text,
    async whole() {
      over = true
      await once(socket, 'close')
      return text.includes('data: last\n') && text.endsWith('0\r\n\r\n')
    },
  }
}
