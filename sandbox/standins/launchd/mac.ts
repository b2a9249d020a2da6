import { renameSync, writeFileSync } from 'node:fs'
import { type Box, type MacState, macWith } from '../box.ts'

/** The knobs of the stand-in launchd, under `launchd` in mac.json. */
export interface LaunchdKnobs {
  /** which macOS it answers like; taken from the version when not given */
  profile?: '15' | '26'
  /** how long the 10 s between two starts lasts here, in ms; a plist's own interval shrinks alike */
  throttleMs?: number
  /** this many bootstraps fail with 5 before one passes */
  transientBootstrapFailures?: number
  /** this many loaded jobs do not start though they should, as seen on 26.5.1; a plain kickstart cures them */
  stuckStarts?: number
  /** labels switched off under Login Items: refused, and unknown to print */
  btmBlocked?: string[]
  /** how bootstrap answers for a disabled label */
  disabledCode?: 5 | 119
  /** how bootstrap answers when the label is there already */
  alreadyLoadedCode?: 5 | 37 | 17
  /** the first signal of `kickstart -k` */
  kickstartSignal?: 'SIGTERM' | 'SIGKILL'
  /** a folder whose plists are loaded into the system domain at boot; a real Mac's is /Library/LaunchDaemons */
  daemons?: string
  /** apps that `launchctl list` shows beside the jobs, by row label: `application.com.electron.ollama.1.2` to a pid or null */
  apps?: Record<string, number | null>
}

/** The Mac as it was when it could last be read, by box: a test may be caught while it writes. */
const lastGood = new Map<string, MacState>()

/** The Mac as mac.json says now; it is asked for each question, because tests and other stand-ins edit it. Never throws. */
export function readMac(box: Box): MacState {
  try {
    const mac = box.mac
    lastGood.set(box.dir, mac)
    return mac
  } catch {
    return lastGood.get(box.dir) ?? macWith({})
  }
}

/** The number before the first dot of the macOS version. */
export function majorVersion(mac: MacState): number {
  return Number.parseInt(mac.macos, 10)
}

/** Which macOS launchd answers like. */
export function profile(mac: MacState): '15' | '26' {
  return mac.launchd.profile ?? (majorVersion(mac) >= 26 ? '26' : '15')
}

/** Writes a file so that a reader meets the old text or the new one, never half of it. */
export function writeAtomically(path: string, body: string): void {
  const temporary = `${path}.launchd-${process.pid}`
  writeFileSync(temporary, body)
  renameSync(temporary, path)
}

/** Counts one of the knobs that misbehave n times down; true when this is one of the times. */
export function takeOne(box: Box, knob: 'transientBootstrapFailures' | 'stuckStarts'): boolean {
  const left = readMac(box).launchd[knob] ?? 0
  if (left <= 0) return false
  box.save((mac) => {
    mac.launchd[knob] = left - 1
  })
  return true
}
