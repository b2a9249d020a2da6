import { randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { parse, stringify } from 'yaml'
import { compiledLink, type Layout } from './layout.ts'
import type { Ground } from './namespaces.ts'
import { endProcessesOf, processesOf } from './processes.ts'

/** What a story is told when it asks a plain box for more than this machine allows. */
export class NotHere extends Error {
  override name = 'NotHere'
}

/** The box's programs run on this machine as it is; they are found again by the HOME in their environment. */
export function openPlain(layout: Layout): Ground {
  return {
    namespaced: false,
    mounted: [compiledLink(layout.dir)],
    enter(machine, argv) {
      if (machine === 'mac') return argv
      throw new NotHere(`a box without namespaces has no ${machine}`)
    },
    holder: () => undefined,
    processes: () => processesOf(layout.dir),
    closeNow: () => endProcessesOf(layout.dir),
    async close() {
      do {
        endProcessesOf(layout.dir)
        await new Promise((resolve) => setTimeout(resolve, 5))
      } while (processesOf(layout.dir).length > 0)
    },
  }
}

/** An address for each box that no other has: 127.64–127.127, like 100.64/10. */
export function ownAddress(): string {
  return `127.${randomInt(64, 128)}.${randomInt(0, 256)}.${randomInt(1, 200)}`
}

async function freePort(host: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export interface Ports {
  port: number
  engine: number
  metrics: number
}

/** The ports of a plain box, in its settings: those that a reopened box has there, else ports that are free now. */
export async function settledPorts(layout: Layout, address: string): Promise<Ports> {
  const file = join(layout.outside(layout.home), '.config/remote-ollama-proxy/settings.yaml')
  if (existsSync(file)) {
    const {
      port = 11434,
      engine,
      metrics,
    } = parse(readFileSync(file, 'utf8')) as {
      port?: number
      engine?: { port?: number }
      metrics?: { port?: number }
    }
    return { port, engine: engine?.port ?? 11434, metrics: metrics?.port ?? 9411 }
  }
  const ports = {
    port: await freePort(address),
    engine: await freePort('127.0.0.1'),
    metrics: await freePort('127.0.0.1'),
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const peers = await freePort('127.0.0.1')
  const own = {
    port: ports.port,
    engine: { port: ports.engine },
    peers: { port: peers },
    metrics: { port: ports.metrics },
  }
  writeFileSync(file, stringify(own), {
    mode: 0o600,
  })
  return ports
}
