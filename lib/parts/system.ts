import { places, platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { advice, type Check, type Finding, missed, ok, skipped } from '../steps/step.ts'
import type { Part } from './part.ts'
import { writable } from './writable.ts'

const gigabyte = 1024 ** 3

/** What a person should know of the room that they believe to have. */
const misled = (machine: Machine): string => {
  const { room } = platformOf(machine).words
  return room === '' ? '' : ` (${room}.)`
}

function fact(
  id: string,
  title: string,
  finding: (look: import('../host/host.ts').Look) => Finding | Promise<Finding>,
): Check {
  return { id: `system.${id}`, title, exit: 3, check: async (look) => finding(look) }
}

/** What the platform says that a machine must be. */
const fitness = (machine: Machine): Check[] =>
  platformOf(machine)
    .fitness(machine)
    .map(({ id, title, ask }) => ({
      id,
      title,
      exit: 3,
      async check(look) {
        const said = await ask(look)
        if (said.is === 'good') return ok(said.saw)
        return said.is === 'wanting' ? missed(said.saw, said.help) : skipped(said.saw)
      },
    }))

/** Where no tailnet says who reaches the gateway, the key alone does; and an engine would be in the container with it. */
function atDoor(machine: Machine, setup: Setup): Check[] {
  if (!platformOf(machine).door) return []
  const { access, role } = setup.settings
  const { here } = platformOf(machine).words
  return [
    fact('access', 'Whoever reaches the gateway is asked for a key', () =>
      access === 'keys'
        ? ok('access: keys')
        : missed(`access: ${access} would let in whoever reaches ${here}`, 'Set access: keys in settings.yaml.'),
    ),
    fact('role', 'The engines are nodes', () =>
      role === 'gateway'
        ? ok('role: gateway')
        : missed(`role: ${role} wants an engine in ${here}`, 'Set role: gateway in settings.yaml.'),
    ),
  ]
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
  about: ({ home }) => ({ title: 'Machine', what: 'is fit for it', where: home }),
  steps: (machine, setup) => [
    ...fitness(machine),
    ...atDoor(machine, setup),
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
      if (free < gigabyte) return missed(`the disk has ${text}`, `Free at least 1 GB and run again.${misled(machine)}`)
      return free < 20 * gigabyte
        ? advice(
            `the disk has ${text}, and a coding model takes 9 to 45 GB`,
            `Make room before you load one.${misled(machine)}`,
          )
        : ok(text)
    }),
    fact('memory', 'The memory holds a useful model', () => {
      const text = `${Math.round(machine.memory / gigabyte)} GB`
      return machine.memory < 16 * gigabyte
        ? advice(
            `this machine has ${text} of memory, which hold models up to about 4B`,
            'Choose such a model; coding agents want 32 GB or more.',
          )
        : ok(text)
    }),
  ],
}
