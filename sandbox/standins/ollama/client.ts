import { request } from 'node:http'
import { readSettings } from './settings.ts'
import { type Fields, fieldsOf, text } from './shape.ts'

/** An error as the command line prints it after `Error: `. */
export class CliError extends Error {}

const NO_SERVER = "could not connect to ollama server, run 'ollama serve' to start it"
const WRONG = 'something went wrong, please see the ollama server logs for details'

/** One request to the server that OLLAMA_HOST names; `line` gets each NDJSON object as it arrives. */
export const call = (method: string, path: string, body?: unknown, line?: (value: Fields) => void): Promise<Fields> => {
  const settings = readSettings(process.env, process.env.HOME ?? '')
  const host = ['', '0.0.0.0', '::'].includes(settings.host) ? '127.0.0.1' : settings.host
  const data = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host,
        port: settings.port,
        method,
        path: settings.path + path,
        headers: {
          'User-Agent': 'ollama/0.24.0 (arm64 darwin) Go/go1.26',
          Accept: line ? 'application/x-ndjson' : 'application/json',
          ...(data ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(data) } : {}),
        },
      },
      (answer) => {
        let rest = ''
        let last: Fields = {}
        const take = (row: string): void => {
          if (row.trim() === '') return
          last = parse(row)
          line?.(last)
        }
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          const rows = (rest + part).split('\n')
          rest = rows.pop() ?? ''
          for (const row of rows) take(row)
        })
        answer.on('end', () => {
          take(rest)
          if ((answer.statusCode ?? 500) >= 400) reject(new CliError(text(last.error) || WRONG))
          else resolve(last)
        })
        answer.on('error', () => reject(new CliError('unexpected EOF')))
      },
    )
    sent.on('error', () => reject(new CliError(NO_SERVER)))
    sent.end(data)
  })
}

const parse = (row: string): Fields => {
  try {
    return fieldsOf(JSON.parse(row))
  } catch {
    return {}
  }
}
