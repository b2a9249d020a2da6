import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { eventually, watchOver } from '../lab/gateway.ts'

/** A program that serves on 127.0.0.1, with what it said. */
export interface Serving {
  port: number
  said(): string
  stop(): Promise<void>
}

/** What is started, and when it is there. */
export interface Wanted {
  argv: string[]
  env: Record<string, string>
  cwd: string
  port: number
  /** path that answers 200 then */
  health: string
  withinMs: number
  /** where it is started and asked, such as a network namespace: what stands before a command there, and its address there */
  place?: { within: string[]; address: string }
}

/** The status of a path on 127.0.0.1; 0 where nobody answers. */
const statusOf = (port: number, path: string): Promise<number> =>
  new Promise((resolve) => {
    get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }).on('error', () => resolve(0))
  })

/** The same where the program is. */
const statusWithin = (
  { within: [file = '', ...argv], address }: NonNullable<Wanted['place']>,
  port: number,
  path: string,
) =>
  new Promise<number>((resolve) => {
    const asks = ['curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', `http://${address}:${port}${path}`]
    execFile(file, [...argv, ...asks], (_error, stdout) => resolve(Number(stdout)))
  })

/** Starts it, and waits until it answers. Throws with what it said where it ends or stays silent. */
export async function serving({ argv, env, cwd, port, health, withinMs, place }: Wanted): Promise<Serving> {
  const [file = '', ...rest] = [...(place?.within ?? []), ...argv]
  const child = spawn(file, rest, { cwd, env: { PATH: process.env.PATH, HOME: cwd, ...env }, stdio: 'pipe' })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => lines.push(text))
  const dismiss = watchOver(child.pid ?? 0)
  const said = () => lines.join('')
  const stop = async () => {
    dismiss()
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(force)
  }
  try {
    await eventually(
      `${file} answers`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}`)
        return (await (place ? statusWithin(place, port, health) : statusOf(port, health))) === 200
      },
      withinMs,
    )
  } catch (error) {
    await stop()
    throw new Error(`${(error as Error).message}: ${said().slice(-2000)}`)
  }
  return { port, said, stop }
}
