import type { Aspect, Fixed, Said } from '../platform.ts'
import { atLeast } from '../versions.ts'

const good = (saw: string): Said => ({ is: 'good', saw })
const wanting = (saw: string, help: string): Said => ({ is: 'wanting', saw, help })

const aspect = (id: string, title: string, said: Said): Aspect => ({ id: `system.${id}`, title, ask: async () => said })

const macos = ({ kernel, version }: Fixed): Said => {
  if (kernel !== 'Darwin')
    return wanting(`this is ${kernel || 'an unknown system'}`, 'Run this on a Mac, or on Debian or Ubuntu.')
  return atLeast(version, [14])
    ? good(`macOS ${version.join('.')}`)
    : wanting(`this is macOS ${version.join('.') || 'of unknown version'}`, 'Upgrade to macOS 14 or newer.')
}

/** What a Mac must be; nothing of it can an installer change. */
export const fitness = (fixed: Fixed): Aspect[] => [
  aspect('macos', 'macOS is 14 or newer', macos(fixed)),
  aspect(
    'chip',
    'The Mac has Apple silicon',
    fixed.appleSilicon
      ? good('Apple silicon')
      : wanting('this Mac has an Intel processor', 'Use a Mac with an M1 or newer chip.'),
  ),
  aspect(
    'native',
    'Node runs natively, not under Rosetta',
    fixed.translated
      ? wanting(
          'Node runs under Rosetta',
          'Run ./bootstrap.sh: it passes over this Node, and finds or brings one for Apple silicon.',
        )
      : good('native'),
  ),
  aspect(
    'user',
    'An ordinary user runs this, not root',
    fixed.uid === 0
      ? wanting(
          'this runs as root',
          'Run it as yourself, without sudo; it asks for your password where macOS needs it.',
        )
      : good(fixed.user),
  ),
  aspect(
    'desktop',
    'The user has a desktop session',
    fixed.desktop
      ? good(`gui/${fixed.uid}`)
      : wanting(
          'this user has no desktop session, and is logged in over ssh only',
          'Log in at the screen (or by Screen Sharing) as the same user and run it again; ssh is fine while that session is open.',
        ),
  ),
]
