import net from 'node:net'
import { Hangup } from './command.ts'

/** One command, with the lines of its payload if it takes one; gives the answer. */
export type Say = (command: string, payload?: string[]) => Promise<string>

const patience = 10_000

/** Throws when this is more than one command, or a payload would end early: HAProxy takes `;`, a line's end and an empty line for that. */
function written(command: string, payload: string[] = []): string {
  if (/[;\r\n]/.test(command)) throw new Error(`not one command: ${JSON.stringify(command)}`)
  const strange = payload.find((line) => line === '' || /[\r\n]/.test(line))
  if (strange !== undefined) throw new Error(`not one line: ${JSON.stringify(strange)}`)
  return payload.length > 0 ? `${command} <<\n${payload.join('\n')}\n\n` : `${command}\n`
}

/** One command on a connection of its own. The sending side is half-closed, as 3.2's master socket needs. Throws `Hangup` when nobody listens or answers; an empty text is no answer. */
export function converse(socket: string, command: string, payload?: string[]): Promise<string> {
  const words = written(command, payload)
  return new Promise((resolve, reject) => {
    let text = ''
    const connection = net.connect(socket).setEncoding('utf8')
    connection.setTimeout(patience, () => connection.destroy(new Hangup('no answer within 10 s')))
    connection.on('error', (error) => reject(error instanceof Hangup ? error : new Hangup(error.message)))
    connection.on('data', (data) => {
      text += data
    })
    connection.on('close', () => resolve(text))
    connection.end(words)
  })
}

/** What HAProxy ends each answer with in its interactive mode (management.txt, 9.3). */
const prompt = '\n> '
/** And what it asks for each line of a payload with (before 3.2). */
const more = /^(\+ )+/

/** A conversation on one connection, and so with one process. `undefined` when nobody listens, or when it broke off; what `talk` throws is thrown. */
export async function conversation<T>(socket: string, talk: (say: Say) => Promise<T>): Promise<T | undefined> {
  const connection = net.connect(socket).setEncoding('utf8')
  let text = ''
  let heard = (_error?: Error) => {}
  connection.setTimeout(patience, () => connection.destroy())
  connection.on('error', () => {})
  connection.on('close', () => heard(new Hangup('the connection ended')))
  connection.on('data', (data) => {
    text += data
    if (text.endsWith(prompt)) heard()
  })
  const exchange = (words: string) =>
    new Promise<string>((resolve, reject) => {
      if (connection.destroyed) return reject(new Hangup('the connection ended'))
      text = ''
      heard = (error) => (error ? reject(error) : resolve(text.slice(0, -prompt.length).replace(more, '')))
      connection.write(words)
    })
  try {
    await exchange('prompt\n')
    return await talk((command, payload) => exchange(written(command, payload)))
  } catch (error) {
    if (error instanceof Hangup) return undefined
    throw error
  } finally {
    connection.destroy()
  }
}
