import { renameSync, writeFileSync } from 'node:fs'
import { type Box, type MacState, macWith } from '../box.ts'

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
