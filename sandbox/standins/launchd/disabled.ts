import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Box, MacState } from '../box.ts'
import { majorVersion, readMac, writeAtomically } from './mac.ts'

type Store = Record<string, boolean>

function storePath(box: Box): string {
  return join(box.dir, 'launchd-disabled.json')
}

/** The store of switched labels, true for disabled; it outlives bootout, the plist and a reboot. */
export function readDisabled(box: Box): Store {
  try {
    const value: unknown = JSON.parse(readFileSync(storePath(box), 'utf8'))
    return typeof value === 'object' && value !== null ? (value as Store) : {}
  } catch {
    return {}
  }
}

/** Writes one label into the store, as `enable` and `disable` do whether or not it is loaded. */
export function setDisabled(box: Box, label: string, disabled: boolean): void {
  writeAtomically(storePath(box), `${JSON.stringify({ ...readDisabled(box), [label]: disabled }, null, 2)}\n`)
}

/** Whether a label may not load: the store decides, and the plist's own Disabled key where the store is silent. */
export function isDisabled(box: Box, label: string, plistSays = false): boolean {
  return readDisabled(box)[label] ?? plistSays
}

function word(mac: MacState, disabled: boolean): string {
  // The words came with macOS 13; before, true stood for disabled.
  if (majorVersion(mac) < 13) return String(disabled)
  return disabled ? 'disabled' : 'enabled'
}

/** `launchctl print-disabled`: a blank line, then two blocks indented by a tab, as captured on macOS 26.6. */
export function printDisabled(box: Box): string {
  const mac = readMac(box)
  const lines = Object.entries(readDisabled(box)).map(([label, off]) => `\t\t"${label}" => ${word(mac, off)}\n`)
  return `\n\tdisabled services = {\n${lines.join('')}\t}\n\n\tlogin item associations = {\n\t}\n`
}
