import { existsSync, lstatSync, mkdirSync, realpathSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'

/** Where a file of the box is written: a link that leads out of it is replaced, so that nothing of this machine is. */
export function inside(dir: string, file: string): string {
  mkdirSync(dirname(file), { recursive: true })
  const within = (path: string) => `${realpathSync(path)}/`.startsWith(`${realpathSync(dir)}/`)
  if (!within(dirname(file))) throw new Error(`${file} lies outside the box`)
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() && !(existsSync(file) && within(file))) rmSync(file)
  return file
}
