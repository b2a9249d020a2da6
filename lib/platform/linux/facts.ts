import type { Look } from '../../host/host.ts'
import type { Facts, Fixed, Question } from '../platform.ts'
import { versionNumbers } from '../versions.ts'

/** Bytes, from `MemTotal:  16384 kB` (proc_meminfo(5)). */
const kilobytes = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024

const meminfo = async (look: Look): Promise<string> => (await look.read('/proc/meminfo')) ?? ''

async function survey(look: Look): Promise<Fixed> {
  const say = async (...argv: string[]) => (await look.query(argv)).stdout.trim()
  const [kernel, uid, user, ssh, release, memory, running] = await Promise.all([
    say('uname', '-s'),
    say('id', '-u'),
    say('id', '-un'),
    say('printenv', 'SSH_CONNECTION'),
    look.read('/etc/os-release'),
    meminfo(look),
    look.stat('/run/systemd/system'),
  ])
  return {
    home: look.home,
    system: 'linux',
    kernel,
    version: versionNumbers(/^VERSION_ID="?([\d.]+)/m.exec(release ?? '')?.[1] ?? ''),
    appleSilicon: false,
    translated: false,
    memory: kilobytes(memory, 'MemTotal'),
    uid: Number(uid),
    user,
    desktop: running !== undefined,
    ssh: ssh !== '',
  }
}

const told: Question[] = [
  [['cat', '/etc/os-release']],
  [['uname', '-srm']],
  [['systemctl', '--version']],
  [['systemctl', 'is-system-running']],
  [['dpkg-query', '-W', 'haproxy', 'tailscale', 'nftables', 'systemd']],
  [['haproxy', '-vv']],
  [['ollama', '--version']],
  [['tailscale', 'version']],
  [['node', '--version']],
  [['nft', 'list', 'tables']],
]

export const facts: Facts = {
  survey,
  told,
  memory: async (look) => kilobytes(await meminfo(look), 'MemTotal'),
  /** Stalls of all tasks for want of memory (Documentation/accounting/psi.rst); undefined where the kernel does not count them. */
  async pressure(look) {
    const text = await look.read('/proc/pressure/memory').catch(() => undefined)
    const full = Number(/^full avg10=([\d.]+)/m.exec(text ?? '')?.[1] ?? Number.NaN)
    if (Number.isNaN(full)) return undefined
    if (full > 20) return 'critical'
    return full > 5 ? 'high' : 'none'
  },
  unseen: {
    saw: 'alerts reach nobody, since a server has no screen',
    help: 'Set alerts.webhook in settings.yaml.',
  },
  names: async (look) =>
    Promise.all([['id', '-un'], ['hostname']].map(async (argv) => (await look.query(argv)).stdout.trim())),
  kindOf(command) {
    if (/apt-get (install|update)|install\.sh/.test(command)) return 'package'
    return /systemctl (enable|disable|restart|start|stop|mask)/.test(command) ? 'service' : undefined
  },
}
