import { request } from 'node:http'
import type { Socket } from 'node:net'
import type { Box, Machine } from '../box/box.ts'
import { eventually } from './await.ts'
import { real } from './real.ts'

/** An answer that is still under way, as a client of the gateway sees it. */
export interface Stream {
  status(): number
  header(name: string): string | undefined
  /** what has come so far */
  text(): string
  /** 'whole': the answer ended as HTTP says; 'cut': the connection ended before */
  ended: Promise<'whole' | 'cut'>
  /** waits until the answer holds this */
  sees(text: string): Promise<void>
  hangUp(): void
}

export interface Ask {
  path?: string
  from?: Machine
  headers?: Record<string, string>
}

/** A model that says ` w00` … ` w63` for ever: a lost or doubled piece would show. */
export const endless = 'tiny-loop'

/** A chat of so many tokens with the endless model. */
export const longChat = (tokens: number) => ({
  model: endless,
  stream: true,
  max_tokens: tokens,
  messages: [{ role: 'user', content: 'go on' }],
})

/** How many tokens an answer needs to be under way for long: the stand-in is slowed down, a real Ollama says more. */
export const lasting = (slowed: number, fast = 6_000): number => (real ? fast : slowed)

/** Sends a request through the gateway, from the laptop where there is one, and reads on until it ends. */
export async function openStream(box: Box, body: object, ask: Ask = {}): Promise<Stream> {
  const socket = await box.dial(ask.from ?? (box.namespaced ? 'laptop' : 'mac'), box.address, box.port)
  return follow(socket, box, body, ask)
}

function follow(socket: Socket, box: Box, body: object, { path = '/v1/chat/completions', headers }: Ask): Stream {
  const seen = { status: 0, text: '', headers: {} as Record<string, unknown> }
  const payload = JSON.stringify(body)
  const ended = new Promise<'whole' | 'cut'>((resolve) => {
    const sent = request({
      method: 'POST',
      path,
      headers: {
        host: `${box.address}:${box.port}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(payload),
        ...headers,
      },
      createConnection: () => socket,
    })
    sent.on('error', () => resolve('cut'))
    sent.on('response', (answer) => {
      seen.status = answer.statusCode ?? 0
      seen.headers = answer.headers
      answer.setEncoding('utf8').on('data', (text: string) => {
        seen.text += text
      })
      answer.on('error', () => {})
      answer.on('close', () => resolve(answer.complete ? 'whole' : 'cut'))
    })
    sent.end(payload)
  })
  return {
    status: () => seen.status,
    header: (name) => (seen.headers[name] === undefined ? undefined : `${seen.headers[name]}`),
    text: () => seen.text,
    ended: ended.finally(() => socket.destroy()),
    sees: (text) =>
      eventually(`the answer holds ${text}; it is ${seen.text}`, () => seen.text.includes(text)).then(() => {}),
    hangUp: () => void socket.destroy(),
  }
}

/** The words of an OpenAI stream in order, as they were said. */
export function words(text: string): string {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map(
      (event) =>
        (JSON.parse(event.slice(6)) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content,
    )
    .join('')
}

/** What the endless model says in so many tokens. */
export function endlessWords(tokens: number): string {
  const word = (at: number) => ` w${String(at % 64).padStart(2, '0')}${at % 64 === 63 ? '\n' : ''}`
  return Array.from({ length: tokens }, (_, at) => word(at)).join('')
}
