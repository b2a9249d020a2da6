import { once } from 'node:events'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Box } from './box.ts'
import { readMac } from './launchd/mac.ts'
import { listen } from './launchd/serve.ts'
import { followDesktop, shutdown, start } from './launchd/session.ts'
import { ask } from './launchd/wire.ts'
import { newWorld, type World } from './launchd/world.ts'
import { openDoor } from './resident.ts'

/** A box is closed within this time, whatever ExitTimeOut its jobs have. */
const CLOSING_MS = 3000

function logger(box: Box): World['log'] {
  const path = join(box.dir, 'run/launchd.log')
  return (subject, line) => {
    try {
      appendFileSync(path, `${new Date().toISOString()} launchd [${subject}]: ${line}\n`)
    } catch {
      // a box that is being removed has no log any more
    }
  }
}

function surviveErrors(log: World['log']): void {
  process.on('uncaughtException', (error) => log('launchd', `survived ${error.stack ?? error}`))
  process.on('unhandledRejection', (error) => log('launchd', `survived ${String(error)}`))
}

/** The stand-in launchd of a box: serves launchctl and supervises jobs until SIGTERM. Starts with a login if there is a desktop. */
export async function main(_argv: string[], box: Box): Promise<number> {
  if (await ask(box, { control: 'ping' })) {
    process.stderr.write(`launchd already runs in ${box.dir}\n`)
    return 1
  }
  mkdirSync(join(box.dir, 'run'), { recursive: true })
  process.umask(0o022)
  const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const world = newWorld(box, process.env.HOME ?? '/', readMac(box).uid, logger(box))
  surviveErrors(world.log)
  const server = await listen(world)
  const closeDoor = openDoor(world, () => followDesktop(world))
  writeFileSync(join(box.dir, 'run/launchd.pid'), `${process.pid}\n`)
  start(world)
  await ended
  server.close()
  closeDoor()
  await shutdown(world, CLOSING_MS)
  return 0
}
