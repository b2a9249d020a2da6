import { keyNeeds, settingsNeeds, tooOldFor } from '../gateway/needs.ts'
import { platformOf } from '../platform/here.ts'
import { atLeast, versionNumbers } from '../platform/versions.ts'
import type { Machine } from '../site/machine.ts'
import { asksKeys } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { packaged } from '../steps/resources.ts'
import { type Check, missed, ok, type Step } from '../steps/step.ts'

const minimum = [2, 6]

/** The first version of each series that reloads on macOS without freezing after some (haproxy/haproxy#3045); from 3.3 on all do, and before 3.1 all did. */
const thawed = [
  [3, 1, 9],
  [3, 2, 5],
]

/** Whether this version freezes at reloads on macOS. */
export const freezes = (version: string): boolean => {
  const numbers = versionNumbers(version)
  const series = thawed.find(([major, minor]) => numbers[0] === major && numbers[1] === minor)
  return series !== undefined && !atLeast(numbers, series)
}

/** What settings and keys ask of HAProxy's version, beside the least that there must be. */
function tooOld(version: string, machine: Machine, { settings, registry }: Setup): string | undefined {
  if (!atLeast(versionNumbers(version), minimum)) return 'too old, 2.6 is needed'
  if (machine.kernel === 'Darwin' && freezes(version))
    return 'after some reloads it takes no more of them on macOS (haproxy/haproxy#3045); 3.1.9, 3.2.5 or newer is needed'
  const keys = asksKeys(settings) ? keyNeeds(registry) : []
  return tooOldFor(version, [...settingsNeeds(settings), ...keys])
}

/** The package, of a version that reloads well and has what settings and keys ask for. */
export function program(machine: Machine, setup: Setup): Step {
  return packaged({
    name: 'haproxy',
    title: 'HAProxy 2.6 or newer is installed',
    machine,
    attended: setup.attended,
    program: [setup.programs.haproxy],
    enough: (version) => tooOld(version, machine, setup),
    keeps: `harmless; \`${platformOf(machine).packages.typed(machine.packager, 'uninstall', 'haproxy')}\` removes it`,
  })
}

/** The user that the configuration names: HAProxy gives root up for it, and does not start without. Debian's package makes it. */
export function account(machine: Machine, { programs }: Setup): Check[] {
  const { account: wanted, packages } = platformOf(machine)
  if (!wanted) return []
  const databases = [
    ['passwd', 'user', wanted.user],
    ['group', 'group', wanted.group],
  ] as const
  return [
    {
      id: 'haproxy.account',
      title: `There is the user ${wanted.user} with its group, for whom HAProxy gives root up`,
      exit: 3,
      async check(look) {
        if (!(await look.stat(programs.haproxy))) return ok('it comes with the package')
        for (const [database, kind, name] of databases)
          if ((await look.query(['getent', database, name])).code !== 0)
            return missed(
              `there is no ${kind} ${name}, though HAProxy is installed`,
              `The package makes it: ${packages.typed(machine.packager, 'install', '--reinstall', 'haproxy')}`,
            )
        return ok(wanted.user)
      },
    },
  ]
}
