import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Box } from './box.ts'
import { ownProcesses } from './processes.ts'

/** The app waits this long between two starts of its server, ms (app/server/server.go). */
const RESTART_MS = 1000

function startServer(box: Box): ChildProcess {
  const home = process.env.HOME ?? '/'
  mkdirSync(join(home, '.ollama/logs'), { recursive: true })
  const log = openSync(join(home, '.ollama/logs/server.log'), 'a')
  const host = box.mac.ollamaApp.expose ? { OLLAMA_HOST: '0.0.0.0' } : {}
  const program = join(box.mac.applications, 'Ollama.app/Contents/Resources/ollama')
  return spawn(program, ['serve'], { env: { ...process.env, ...host }, stdio: ['ignore', log, log] })
}

/** Ends every other `ollama serve` that this user runs, whoever started it (app/server/server_unix.go). */
function endOthers(box: Box): void {
  const servers = ownProcesses(box).filter(
    ({ command, args }) => command === 'ollama' && /^(serve|start)$/.test(args[1] ?? ''),
  )
  for (const { pid } of servers) process.kill(pid, 'SIGTERM')
}

function running(box: Box, is: boolean): void {
  box.save(({ ollamaApp }) => {
    ollamaApp.running = is
  })
}

/** Ollama.app: keeps a server of its own; when that finds its port taken, it ends the holder, once, and takes the port. */
export async function main(_argv: string[], box: Box): Promise<number> {
  let quitting = false
  let ended = false
  let server = startServer(box)
  running(box, true)
  const quit = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]).then(() => {
    quitting = true
    server.kill('SIGTERM')
  })
  while (!quitting) {
    const [code] = await once(server, 'exit')
    if (quitting) break
    if (code === 1 && !ended) endOthers(box)
    ended ||= code === 1
    await Promise.race([sleep(RESTART_MS), quit])
    if (!quitting) server = startServer(box)
  }
  if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  running(box, false)
  return 0
}
