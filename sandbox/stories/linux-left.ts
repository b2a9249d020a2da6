import { checkout } from '../box/paths.ts'
import type { Booted } from '../linux/booted.ts'

/** What the system writes by itself, and what is only lent to the machine. */
const skipped = [
  ...['/proc', '/sys', '/run', '/tmp', '/opt/outside', checkout, '/var/log/journal', '/var/cache'],
  '/var/tmp/systemd-private-*',
]

/** What belongs to packages, or to those that were asked for and stay: apt, its lists, Ollama with its user. */
const stays = [
  /^\/(etc\/(apt|passwd|group|shadow|gshadow|subuid|subgid|haproxy|default|init\.d|rc\d\.d|rsyslog\.d|logrotate\.d|ld\.so\.cache)|var\/(lib\/(apt|dpkg|systemd|ucf|haproxy)|log|mail|spool)|usr\/share\/(ollama|keyrings))/,
  /\/(ollama|tailscaled|haproxy)(\.service)?$|^\/usr\/local\/bin\/ollama$|default\.target\.wants$/,
]

/** Every file of a booted Debian by its path, with mode and owner, but for what the system writes by itself. */
export async function filesOf(machine: Booted): Promise<Map<string, string>> {
  const prune = skipped.map((path) => `-path '${path}' -prune`).join(' -o ')
  const { stdout } = await machine.run([
    ...['sh', '-c'],
    `find / -xdev \\( ${prune} \\) -o -type f -printf '%p %m %U:%G\\n' -o -type l -printf '%p -> %l\\n' -o -type d -printf '%p %m %U:%G\\n'`,
  ])
  return new Map(stdout.split('\n').map((line) => [line.split(' ')[0] ?? '', line]))
}

async function ofPackages(machine: Booted, paths: string[]): Promise<Set<string>> {
  const { stdout } = await machine.run(['dpkg', '-S', ...paths])
  return new Set(stdout.split('\n').map((line) => line.slice(line.indexOf(': ') + 2)))
}

/** What is other than it was and belongs to no package, and what is gone; settings and keys are kept on purpose. */
export async function leftIn(
  machine: Booted,
  before: Map<string, string>,
): Promise<{ changed: string[]; gone: string[] }> {
  const after = await filesOf(machine)
  const other = [...after].filter(([path, line]) => before.get(path) !== line).map(([path]) => path)
  const owned = await ofPackages(machine, other)
  return {
    changed: other.filter(
      (path) =>
        !owned.has(path) && !stays.some((kept) => kept.test(path)) && !path.startsWith('/etc/remote-ollama-proxy'),
    ),
    gone: [...before.keys()].filter((path) => !after.has(path) && !path.startsWith('/var')),
  }
}
