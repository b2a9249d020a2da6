import { dirname } from 'node:path'
import type { Look } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import { tilde } from '../steps/resources.ts'
import { type Check, missed, ok } from '../steps/step.ts'

/** Found before anything is changed: somebody's `sudo` may have left folders that are root's. */
export const writable = (id: string, title: string, machine: Machine, folders: string[]): Check => ({
  id,
  title,
  exit: 3,
  async check(look) {
    const found = await Promise.all(folders.map(async (folder) => nearest(look, folder)))
    const places = [...new Set(found)]
    const closed = (await Promise.all(places.map(async (place) => ((await open(look, place)) ? [] : [place])))).flat()
    const [first] = closed
    if (first === undefined) return ok('their owner may write there')
    const theirs = await Promise.all(closed.map(async (place) => (await look.stat(place))?.uid !== machine.uid))
    const quoted = closed.map((place) => `'${place}'`).join(' ')
    return missed(
      closed
        .map((place, at) => `${tilde(look, place)} ${theirs[at] ? 'is another user’s' : 'may not be written'}`)
        .join(', '),
      theirs.some(Boolean) ? `sudo chown -R "$(id -un)" ${quoted} && chmod u+rwx ${quoted}` : `chmod u+rwx ${quoted}`,
    )
  },
})

const there = async (look: Look, path: string): Promise<boolean> => (await look.query(['test', '-e', path])).code === 0

/** The folder, or the lowest one above it that is there. */
async function nearest(look: Look, folder: string): Promise<string> {
  const above = dirname(folder)
  return above === folder || (await there(look, folder)) ? folder : nearest(look, above)
}

const open = async (look: Look, folder: string): Promise<boolean> =>
  (await look.query(['test', '!', '-d', folder, '-o', '-w', folder, '-a', '-x', folder])).code === 0
