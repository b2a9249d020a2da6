import { places } from '../platform/here.ts'
import { atLeast } from '../platform/versions.ts'
import type { Machine } from '../site/machine.ts'
import { advice, type Check, type Finding, missed, ok } from '../steps/step.ts'
import type { Part } from './part.ts'
import { writable } from './writable.ts'

const gigabyte = 1024 ** 3

/** Finder and "About This Mac" count what macOS deletes only when it wants the room; statfs, and whoever writes a file, do not. */
const purgeable = 'Finder counts purgeable files as free, and they are not yet: System Settings > General > Storage'

function fact(
  id: string,
  title: string,
  finding: (look: import('../host/host.ts').Look) => Finding | Promise<Finding>,
): Check {
  return { id: `system.${id}`, title, exit: 3, check: async (look) => finding(look) }
}

const macos = (machine: Machine): Finding => {
  if (machine.kernel !== 'Darwin')
    return missed(
      `this is ${machine.kernel || 'an unknown system'}`,
      'Run this on a Mac; on Linux, `npm run demo` shows it in a box.',
    )
  const version = machine.version.join('.')
  return atLeast(machine.version, [14])
    ? ok(`macOS ${version}`)
    : missed(`macOS ${version || 'of unknown version'}`, 'Upgrade to macOS 14 or newer.')
}

/** What HAProxy, a shell or a log's form takes for something else. Quoted, blanks are harmless. */
const taken = /['"#,()[\]{}\\$%`\p{Cc}]/u

/** A unix socket's path holds 103 bytes on macOS (sys/un.h); while HAProxy starts, it ends in `.PID.tmp`. */
const longest = 67

const homeName = (home: string): Finding => {
  const letter = taken.exec(home)?.[0]
  if (letter !== undefined)
    return missed(
      `${JSON.stringify(home)} has ${letter < ' ' || letter === '\x7f' ? 'a control character' : letter} in it, which HAProxy cannot be told of`,
      'Install it for a user whose home folder has only letters, digits, blanks and - _ . in its path.',
    )
  const bytes = new TextEncoder().encode(home).length
  return bytes <= longest
    ? ok(home)
    : missed(
        `${home} has ${bytes} bytes, and the path of a socket below it would be too long`,
        `Install it for a user whose home folder’s path has ${longest} bytes at most.`,
      )
}

/** The machine itself: what no installer can change. */
export const system: Part = {
  name: 'system',
  steps: (machine) => [
    fact('macos', 'macOS is 14 or newer', () => macos(machine)),
    fact('chip', 'The Mac has Apple silicon', () =>
      machine.appleSilicon ? ok('Apple silicon') : missed('an Intel processor', 'Use a Mac with an M1 or newer chip.'),
    ),
    fact('native', 'Node runs natively, not under Rosetta', () =>
      machine.translated
        ? missed(
            'Node runs under Rosetta',
            'Run ./bootstrap.sh: it passes over this Node, and finds or brings one for Apple silicon.',
          )
        : ok('native'),
    ),
    fact('user', 'An ordinary user runs this, not root', () =>
      machine.uid === 0
        ? missed(
            'this runs as root',
            'Run it as yourself, without sudo; it asks for your password where macOS needs it.',
          )
        : ok(machine.user),
    ),
    fact('desktop', 'The user has a desktop session', () =>
      machine.desktop
        ? ok(`gui/${machine.uid}`)
        : missed(
            'no desktop session: this user is logged in over ssh only',
            'Log in at the screen (or by Screen Sharing) as the same user and run it again; ssh is fine while that session is open.',
          ),
    ),
    fact('home-name', 'The home folder’s path can be written down for every program', () => homeName(machine.home)),
    fact('home', 'The home folder can be read and written', async (look) => {
      const { code } = await look.query(['test', '-r', look.home, '-a', '-w', look.home, '-a', '-x', look.home])
      return code === 0
        ? ok(look.home)
        : missed(`${look.home} cannot be read and written`, `Repair its permissions: chmod u+rwx '${look.home}'`)
    }),
    writable('system.folders', 'Our folders can be written', machine, [
      places(machine).agents,
      places(machine).settingsFolder,
      places(machine).state,
      places(machine).backups,
      places(machine).logs,
    ]),
    fact('disk', 'The disk has room', async (look) => {
      const free = await look.free(look.home)
      const text = `${(free / gigabyte).toFixed(1)} GB free`
      if (free < gigabyte) return missed(text, `Free at least 1 GB and run again. (${purgeable}.)`)
      return free < 20 * gigabyte
        ? advice(text, `A coding model takes 9 to 45 GB; make room before you load one. (${purgeable}.)`)
        : ok(text)
    }),
    fact('memory', 'The memory holds a useful model', () => {
      const text = `${Math.round(machine.memory / gigabyte)} GB`
      return machine.memory < 16 * gigabyte
        ? advice(text, 'Models up to about 4B fit; coding agents want 32 GB or more.')
        : ok(text)
    }),
  ],
}
