import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { badOrigin } from './access.ts'
import type { Server } from './context.ts'
import { wait } from './errors.ts'
import { readFaults, versionOf } from './faults.ts'
import { Scheduler } from './scheduler.ts'
import { Connections } from './server.ts'
import { envMap, readSettings, type Settings } from './settings.ts'
import { Store } from './store.ts'
import { ROUTES } from './table.ts'

const say = (source: string, msg: string, more = ''): void => {
  const quoted = /[ ":]/.test(msg) ? JSON.stringify(msg) : msg
  process.stderr.write(`time=${new Date().toISOString()} level=INFO source=${source} msg=${quoted}${more}\n`)
}

const shown = (settings: Settings): string =>
  `${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${settings.port}`

const greet = (settings: Settings, version: string): void => {
  say('routes.go:1889', 'server config', ` env=${JSON.stringify(envMap(settings, process.env))}`)
  say('routes.go:1891', `Ollama cloud disabled: ${settings.noCloud}`)
  say('images.go:497', `total blobs: 0`)
  say('images.go:504', 'total unused blobs removed: 0')
  for (const { method, pattern } of ROUTES) {
    process.stderr.write(
      `[GIN-debug] ${method.padEnd(6)} ${pattern.padEnd(25)} --> github.com/ollama/ollama/server.(*Server).GenerateRoutes (5 handlers)\n`,
    )
  }
  say('routes.go:1945', `Listening on ${shown(settings)} (version ${version})`)
}

/** What the first start leaves in the home: the folders of the models and a key (here only a name of one). */
const prepare = (home: string, models: string): void => {
  mkdirSync(join(models, 'blobs'), { recursive: true })
  mkdirSync(join(models, 'manifests'), { recursive: true })
  const key = join(home, '.ollama', 'id_ed25519')
  if (existsSync(key)) return
  mkdirSync(join(home, '.ollama'), { recursive: true })
  const pub = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIStandIn'
  writeFileSync(key, 'not a key: written by the stand-in\n', { mode: 0o600 })
  writeFileSync(`${key}.pub`, `${pub}\n`)
  process.stderr.write(`Couldn't find '${key}'. Generating new private key.\nYour new public key is: \n\n${pub}\n\n`)
}

const LOOPBACK = /^(localhost|127\.|::1$)/

/** `ollama serve`: the exit code once the server stopped. */
export const serve = async (box: string, home: string): Promise<number> => {
  const settings = readSettings(process.env, home)
  const faults = readFaults(box)
  if (faults.diesAtStart) {
    process.stderr.write(`${faults.diesAtStart}\n`)
    return 1
  }
  if (badOrigin(settings.origins)) {
    process.stderr.write(
      "panic: bad origin: origins must contain '*' or include http://,https://\n\ngoroutine 1 [running]:\n",
    )
    return 2
  }
  if (faults.refuseStartMs) await wait(faults.refuseStartMs)
  const disk = /^(\/Volumes\/[^/]+)/.exec(settings.models)?.[1]
  if (disk !== undefined && !existsSync(disk)) {
    // Only root makes folders beside the disks (ollama/ollama#12250).
    process.stderr.write(`Error: mkdir ${disk}: permission denied: ensure path elements are traversable\n`)
    return 1
  }
  try {
    prepare(home, settings.models)
  } catch (error) {
    process.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
  const version = versionOf(box)
  const server: Server = {
    box,
    settings,
    store: new Store(settings.models),
    scheduler: new Scheduler(settings, box),
    version,
  }
  return run(new Connections(server, ROUTES, !LOOPBACK.test(settings.host)), settings, version)
}

const run = (connections: Connections, settings: Settings, version: string): Promise<number> =>
  new Promise((resolve) => {
    const net = connections.listen()
    net.on('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'address already in use'
          : error.code === 'EADDRNOTAVAIL'
            ? "can't assign requested address"
            : error.message
      process.stderr.write(`Error: listen tcp ${shown(settings)}: bind: ${why}\n`)
      resolve(1)
    })
    const stop = () => {
      net.close()
      connections.cutAll()
      resolve(0)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    net.listen({ port: settings.port, ...(settings.host ? { host: settings.host } : {}) }, () =>
      greet(settings, version),
    )
  })
