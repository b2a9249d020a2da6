import type { Look } from '../../host/host.ts'
import type { Aspect, Fixed, Said } from '../platform.ts'
import { atLeast, versionNumbers } from '../versions.ts'

const aspect = (id: string, title: string, ask: (look: Look) => Promise<Said>): Aspect => ({ id, title, ask })

const good = (saw: string): Said => ({ is: 'good', saw })
const wanting = (saw: string, help: string): Said => ({ is: 'wanting', saw, help })

async function supervisor(look: Look, fixed: Fixed): Promise<Said> {
  if (!fixed.desktop)
    return wanting(
      'systemd does not run here, as in most containers',
      'Run it on a machine or in a virtual one that systemd starts; in a container use the container form.',
    )
  const version = versionNumbers(/\d+/.exec((await look.query(['systemctl', '--version'])).stdout)?.[0] ?? '')
  return atLeast(version, [252])
    ? good(`systemd ${version.join('.')}`)
    : wanting(`systemd ${version.join('.')} is too old`, 'Upgrade to Debian 12, Ubuntu 24.04 or newer.')
}

/** What is there, or what apt would bring: 22.04 of Ubuntu has 2.4. */
async function proxy(look: Look): Promise<Said> {
  const { stdout } = await look.query(['apt-cache', 'policy', 'haproxy'])
  const version = /^ {2}Candidate: (?:\d+:)?(\d[\d.]*)/m.exec(stdout)?.[1]
  if (version === undefined) return { is: 'unknown', saw: 'apt does not know HAProxy yet' }
  return atLeast(versionNumbers(version), [2, 6])
    ? good(`HAProxy ${version}`)
    : wanting(`HAProxy ${version} is the newest that apt has`, 'Upgrade to Debian 12, Ubuntu 24.04 or newer.')
}

const processors = ['x64', 'arm64']

/** What a machine must be; nothing of it can an installer change. */
export const fitness = (fixed: Fixed): Aspect[] => [
  aspect('system.kernel', 'This is Linux', async () => good(`${fixed.kernel} ${fixed.version.join('.')}`)),
  aspect('system.supervisor', 'systemd runs, 252 or newer', (look) => supervisor(look, fixed)),
  aspect('system.packages', 'apt has HAProxy 2.6 or newer', proxy),
  aspect('system.chip', 'The processor is x86-64 or arm64', async () =>
    processors.includes(process.arch)
      ? good(process.arch)
      : wanting(`the processor is ${process.arch}`, 'Use a machine with x86-64 or arm64.'),
  ),
  aspect('system.user', 'root runs this', async () =>
    fixed.uid === 0
      ? good(fixed.user)
      : wanting(`${fixed.user} runs this`, 'Run it by sudo: it asks for your password once.'),
  ),
]
