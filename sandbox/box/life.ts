import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openBox } from '../standins/box.ts'
import { ask, control } from '../standins/launchd/wire.ts'
import type { Layout } from './layout.ts'
import type { Ground } from './namespaces.ts'
import { node } from './paths.ts'
import { signal } from './processes.ts'
import { finish, launch, type Running } from './running.ts'

/** Logins, restarts and the tailnet of a box. */
export interface Life {
  start(): Promise<void>
  place(): Promise<void>
  login(): Promise<void>
  logout(): Promise<void>
  tailnet(up: boolean): Promise<void>
  reboot(addressAfterMs: number): Promise<void>
  stop(): void
}

/** launchd listens within this time, also on a busy machine. */
const STARTED_MS = 20_000

type Environment = () => Record<string, string>

async function until(what: string, withinMs: number, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`after ${withinMs} ms still not: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** `launchd` is the box's own daemon; it is started with the box and again after a reboot. */
function starter({ dir, home }: Layout, ground: Ground, env: Environment): () => Promise<Running> {
  return async () => {
    rmSync(join(dir, 'run/launchd.sock'), { force: true })
    const argv = ground.enter('mac', [node, join(dir, 'standins.mjs'), 'launchd'])
    const daemon = launch({ argv, env: { ...env(), BOX: dir, HOME: home }, cwd: '/', enters: ground.namespaced })
    let ended = false
    daemon.done.then(
      () => (ended = true),
      () => (ended = true),
    )
    await until('launchd answers', STARTED_MS, async () => {
      if (ended) throw new Error(`launchd ended at once: ${daemon.output()}`)
      return (await ask({ dir }, { control: 'ping' }))?.code === 0
    })
    return daemon
  }
}

/** Makes the box's files and addresses agree with mac.json. */
async function placeAll({ dir }: Layout, ground: Ground, env: Environment): Promise<void> {
  const argv = ground.enter('mac', [node, join(dir, 'standins.mjs'), 'box-place'])
  const placed = launch({ argv, env: { ...env(), BOX: dir }, cwd: '/', enters: ground.namespaced }, '')
  const { code, stderr } = await finish(placed, STARTED_MS)
  if (code !== 0) throw new Error(stderr.trim())
}

/** Removes all of a folder but what is mounted in it, since a mount goes with the folder below it. */
function emptyFolder(inside: string, layout: Layout, mounted: string[]): void {
  for (const name of readdirSync(layout.outside(inside))) {
    const path = join(inside, name)
    if (mounted.includes(path)) continue
    if (mounted.some((place) => place.startsWith(`${path}/`))) emptyFolder(path, layout, mounted)
    else rmSync(layout.outside(path), { recursive: true, force: true })
  }
}

function emptyTmp(layout: Layout, { mounted }: Ground): void {
  emptyFolder(layout.namespaced ? '/tmp' : join(layout.dir, 'tmp'), layout, mounted)
}

/** The life of a box's Mac. `env` gives the environment of its programs at that moment. */
export function makeLife(layout: Layout, ground: Ground, env: Environment): Life {
  const box = openBox(layout.dir)
  const startDaemon = starter(layout, ground, env)
  let daemon: Running | undefined
  let timer: NodeJS.Timeout | undefined
  const place = () => placeAll(layout, ground, env)

  async function tailnet(up: boolean): Promise<void> {
    box.save((mac) => {
      mac.tailscale.state = up ? 'Running' : 'Stopped'
      if (up) mac.tailscale.joined = true
    })
    await place()
  }

  async function shutDown(): Promise<void> {
    daemon?.kill('SIGTERM')
    await daemon?.done
    for (const pid of ground.processes()) signal(pid, 'SIGKILL')
    emptyTmp(layout, ground)
  }

  return {
    place,
    tailnet,
    async start() {
      await place()
      daemon = await startDaemon()
    },
    login: () => control(layout, { control: 'login' }),
    logout: () => control(layout, { control: 'logout' }),
    async reboot(addressAfterMs) {
      const wasUp = box.mac.tailscale.state === 'Running'
      const { desktop } = box.mac
      await shutDown()
      if (wasUp) await tailnet(false)
      // The desktop of before is logged in again; its variables are gone.
      box.save({ setenv: {}, desktop })
      if (wasUp && addressAfterMs === 0) await tailnet(true)
      daemon = await startDaemon()
      if (wasUp && addressAfterMs > 0) timer = setTimeout(() => void tailnet(true).catch(() => {}), addressAfterMs)
    },
    stop: () => clearTimeout(timer),
  }
}
