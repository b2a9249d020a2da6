import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Box } from '../box/box.ts'
import { checkout } from '../box/paths.ts'
import { installedBox, worker } from './installed.ts'
import { download } from './real.ts'
import { endless, lasting } from './stream.ts'
import { patience } from './witness.ts'

let box: Box
export const tokens = lasting(400, 2_000)

export const rop = (...said: string[]) => box.run([`${box.prefix}/bin/rop`, ...said], { cwd: '/', timeoutMs: patience })
export const running = async () => /^Version: (\d+\.\d+\.\d+)/m.exec(await worker(box, 'show info'))?.[1]
export const copies = async () =>
  (await box.run(['ls', `${box.home}/Library/Application Support/remote-ollama-proxy`])).stdout
export const current = async () =>
  (await box.run(['readlink', `${box.home}/Library/Application Support/remote-ollama-proxy/current`])).stdout.trim()

/** Homebrew has this program as its newest HAProxy. */
export function brewHas(version: string, text: string | Buffer): void {
  const file = join(box.dir, `haproxy-${version}`)
  writeFileSync(file, text, { mode: 0o755 })
  box.mac(({ brew }) => {
    brew.haproxyBinaries[version] = file
    brew.latest.haproxy = version
  })
}

/** Homebrew's list came so many days ago. */
export async function listIs(old: { days: number } | undefined): Promise<void> {
  box.mac(({ brew }) => {
    if (old) brew.old = old
    else delete brew.old
  })
  await box.place()
}

/** The same program by another version of the same length. */
export function newerHaproxy(): string {
  const [[version = '', file = ''] = []] = Object.entries(box.state().brew.haproxyBinaries)
  const newer = version.replace(/\d$/, (digit) => (digit === '9' ? '0' : `${Number(digit) + 1}`))
  brewHas(newer, Buffer.from(readFileSync(file, 'latin1').replaceAll(version, newer), 'latin1'))
  return newer
}

/** A folder of ours that calls itself by this version. */
export function anotherOwn(version: string): string {
  const folder = box.outside(`ours-${version}`)
  mkdirSync(folder, { recursive: true })
  for (const name of ['lib', 'templates', 'rop.ts', 'warm-models.ts', 'observer.ts'])
    cpSync(join(checkout, name), join(folder, name), { recursive: true })
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as object
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }))
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'))
  return `${box.home}/ours-${version}`
}

/** All but the speed of a busy test machine. */
export const expectProven = (code: number, text: string) => expect([0, 5], text).toContain(code)

/** A Mac with the endless model and many slots on it, on which install has run. */
export async function upgradable(): Promise<Box> {
  box = await installedBox({ settings: 'models: []\ninference: { slots: 16, parallel: 16 }\n', models: false, code: 5 })
  await download(box, [endless])
  return box
}
