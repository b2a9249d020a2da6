import { mkdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { type Answer, type Call, fail, ok } from './answer.ts'
import { errno } from './errors.ts'
import { followDesktop, login, logout, reboot } from './session.ts'
import { answer } from './verbs.ts'
import { readLine, socketPath } from './wire.ts'
import type { World } from './world.ts'

function callOf(request: Partial<Call>): Call {
  return {
    argv: (request.argv ?? []).map(String),
    cwd: request.cwd ?? '/',
    tty: request.tty === true,
    root: request.root === true,
    ssh: request.ssh === true,
  }
}

async function obey(world: World, request: { control?: unknown; login?: unknown }): Promise<Answer> {
  if (request.control === 'login') login(world)
  else if (request.control === 'logout') await logout(world)
  else if (request.control === 'reboot') {
    await reboot(world, typeof request.login === 'boolean' ? request.login : undefined)
  } else if (request.control !== 'ping') return fail(errno.usage, `unknown control ${String(request.control)}`)
  return ok()
}

async function respond(world: World, line: string): Promise<Answer> {
  try {
    const request: unknown = JSON.parse(line)
    if (typeof request !== 'object' || request === null) return fail(errno.usage, 'Bad request.')
    followDesktop(world)
    return 'control' in request ? await obey(world, request) : await answer(world, callOf(request))
  } catch (error) {
    world.log('launchd', `request ${line.slice(0, 200)} failed: ${error instanceof Error ? error.stack : error}`)
    return fail(errno.inputOutput, 'Bad request.')
  }
}

async function converse(world: World, socket: Socket): Promise<void> {
  const line = await readLine(socket)
  if (line === undefined) return
  const said = await respond(world, line)
  if (!socket.destroyed) socket.end(`${JSON.stringify(said)}\n`)
}

/** Listens for launchctl; resolves once it can be reached. */
export function listen(world: World): Promise<Server> {
  const path = socketPath(world.box)
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  const server = createServer((socket) => void converse(world, socket))
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}
