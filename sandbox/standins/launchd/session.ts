import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { owners, policyAgainst, tearDown } from './bootstrap.ts'
import { readMac } from './mac.ts'
import { isRefusal, readJob } from './plist.ts'
import { killNow, loadJob, signalGroup } from './supervise.ts'
import { type Domain, domainName, type World } from './world.ts'

function plistsIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.plist'))
    // Symlinks load by hand but are passed over at login since macOS 14.
    return names
      .sort()
      .map((name) => join(folder, name))
      .filter((path) => lstatSync(path).isFile())
  } catch {
    return []
  }
}

function loadAtLogin(world: World, domain: Domain, path: string): void {
  const spec = readJob(path, owners(world))
  const against = isRefusal(spec) ? spec : policyAgainst(world, domain, spec)
  if (against) world.log(domainName(domain), `${path} passed over: ${against.errno}: ${against.reason}`)
  else if (!isRefusal(spec) && !domain.jobs.has(spec.label)) loadJob(world, domain, spec)
}

/** The user logs in at the desktop: the gui domain appears and every enabled agent is loaded. */
export function login(world: World): void {
  if (!readMac(world.box).desktop) world.box.save({ desktop: true })
  world.log(domainName(world.domains.gui), 'login')
  for (const path of plistsIn(join(world.home, 'Library/LaunchAgents'))) loadAtLogin(world, world.domains.gui, path)
}

/** The user logs out: every agent is ended, then the gui domain and the session's variables are gone. */
export async function logout(world: World): Promise<void> {
  world.log(domainName(world.domains.gui), 'logout')
  await tearDown(world, world.domains.gui)
  world.box.save({ desktop: false, setenv: {} })
}

/** Whether someone is at the desktop after a reboot that does not say: who was before, or who logs in automatically. */
function comesBack(world: World): boolean {
  const { desktop, autoLoginUser, fileVault } = readMac(world.box)
  return desktop || (autoLoginUser !== undefined && !fileVault)
}

/** The Mac restarts: every job ends, then daemons and, with a login, agents start again. */
export async function reboot(world: World, loginAfter = comesBack(world)): Promise<void> {
  await logout(world)
  await Promise.all([tearDown(world, world.domains.user), tearDown(world, world.domains.system)])
  endAbandoned(world)
  start(world, loginAfter)
}

/** The machine starts: daemons first, then the agents of a user who is logged in. */
export function start(world: World, withLogin = readMac(world.box).desktop): void {
  const { daemons } = readMac(world.box).launchd
  for (const path of daemons ? plistsIn(daemons) : []) loadAtLogin(world, world.domains.system, path)
  if (withLogin) login(world)
}

function endAbandoned(world: World): void {
  for (const group of world.abandoned) signalGroup(group, 'SIGKILL')
  world.abandoned.clear()
}

/** Ends everything within `patienceMs`: SIGTERM, and SIGKILL for what is left then. */
export async function shutdown(world: World, patienceMs: number): Promise<void> {
  const domains = Object.values(world.domains)
  const hurry = setTimeout(() => {
    for (const domain of domains) for (const job of domain.jobs.values()) killNow(world, job)
  }, patienceMs)
  await Promise.all(domains.map((domain) => tearDown(world, domain)))
  clearTimeout(hurry)
  endAbandoned(world)
}

/** Follows an edit of mac.json that took the desktop away: its jobs are ended as by a logout. */
export function followDesktop(world: World): void {
  const { gui } = world.domains
  if (!readMac(world.box).desktop && gui.jobs.size > 0 && !gui.tearingDown) void logout(world)
}
