import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, freePort, program, type RunningGateway, startGateway, watchOver } from '../sandbox/gateway.ts'

/** Something to measure: where it listens, and the Host to send. */
export interface Target {
  name: 'direct' | 'tcp' | 'bare http' | 'ours'
  address: string
  port: number
  host: string
}

export interface Field {
  targets: Target[]
  gateway: RunningGateway
  stop(): Promise<void>
}

const answer = JSON.stringify({
  id: 'x',
  object: 'chat.completion',
  choices: [{ message: { content: 'y'.repeat(100) } }],
})

const engine = (port: number): string => `
defaults
    mode http
    timeout client 1m
    timeout server 1m
    timeout connect 1s
frontend engine
    bind 127.0.0.1:${port}
    http-request return status 200 content-type application/json string '${answer}'
`

const relay = (mode: 'tcp' | 'http', port: number, to: number): string => `
defaults
    mode ${mode}
    timeout client 35m
    timeout server 35m
    timeout connect 2s
    ${mode === 'http' ? 'option http-no-delay' : ''}
listen relay
    bind 127.0.0.1:${port}
    server engine 127.0.0.1:${to}
`

/** The same program and the same engine behind all of them; only the configuration differs. */
export async function openField(enginePort?: number): Promise<Field> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const children: ChildProcess[] = []
  const start = async (name: string, text: string) => {
    const { file, libraryPath } = await program()
    const path = join(folder, `${name}.cfg`)
    writeFileSync(path, `global\n    noreuseport\n    nbthread 2\n    maxconn 8000\n${text}`)
    const child = spawn(file, ['-db', '-f', path], { env: { LD_LIBRARY_PATH: libraryPath }, stdio: 'inherit' })
    watchOver(child.pid ?? 0)
    children.push(child)
  }
  const [own, tcp, http] = [
    enginePort ?? (await freePort('127.0.0.1')),
    await freePort('127.0.0.1'),
    await freePort('127.0.0.1'),
  ]
  if (enginePort === undefined) await start('engine', engine(own))
  await start('tcp', relay('tcp', tcp, own))
  await start('http', relay('http', http, own))
  const gateway = await startGateway({ enginePort: own, settings: 'inference: { slots: 64 }\n' })
  const local = (name: Target['name'], port: number): Target => ({
    name,
    address: '127.0.0.1',
    port,
    host: `127.0.0.1:${port}`,
  })
  const targets = [
    local('direct', own),
    local('tcp', tcp),
    local('bare http', http),
    { name: 'ours' as const, address: gateway.address, port: gateway.port, host: gateway.host },
  ]
  await eventually('all targets answer', async () => (await Promise.all(targets.map(answers))).every(Boolean))
  return {
    targets,
    gateway,
    async stop() {
      for (const child of children) child.kill('SIGTERM')
      await gateway.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const answers = (target: Target): Promise<boolean> =>
  fetch(`http://${target.address}:${target.port}/api/version`).then(
    (response) => response.ok,
    () => false,
  )
