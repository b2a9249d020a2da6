import type { Look } from '../../host/host.ts'
import type { Question } from '../platform.ts'

const sysctls = [
  ...['hw.memsize', 'hw.ncpu', 'hw.optional.arm64', 'hw.model', 'machdep.cpu.brand_string', 'sysctl.proc_translated'],
  ...['kern.osrelease', 'kern.maxfilesperproc', 'kern.memorystatus_vm_pressure_level', 'iogpu.wired_limit_mb'],
  ...['net.local.stream.sendspace', 'net.local.stream.recvspace', 'net.inet.ip.portrange.first'],
]

const firewall = '/usr/libexec/ApplicationFirewall/socketfilterfw'

const versions: Question[] = [
  [['sw_vers']],
  [['uname', '-srm']],
  [['arch']],
  [['csrutil', 'status']],
  ...sysctls.map((name): Question => [['sysctl', '-n', name]]),
  [['launchctl', 'version']],
  [['brew', '--version']],
  [['brew', '--prefix']],
  [['brew', 'list', '--versions', 'haproxy', 'ollama', 'node', 'tailscale']],
  [['haproxy', '-vv']],
  [['ollama', '--version']],
  [['tailscale', 'version']],
  [['node', '--version']],
  [['xcode-select', '-p']],
]

const power: Question[] = [
  [['pmset', '-g', 'custom']],
  [['pmset', '-g']],
  [['fdesetup', 'status'], (text) => text.split('\n')[0] ?? ''],
  [['defaults', 'read', '/Library/Preferences/com.apple.loginwindow', 'autoLoginUser'], () => ''],
  [[firewall, '--getglobalstate']],
  [[firewall, '--getstealthmode']],
]

/** What a Mac is, as its commands say it. */
export const told: Question[] = [...versions, ...power]

/** How the account and the computer are called. */
export async function names(look: Look): Promise<string[]> {
  const say = async (...argv: string[]) => (await look.query(argv)).stdout.trim()
  const computer = ['ComputerName', 'LocalHostName', 'HostName'].map((name) => say('scutil', '--get', name))
  return Promise.all([say('id', '-un'), say('id', '-F'), say('hostname'), ...computer])
}

/** Variables that launchd or we put into a job's environment; all others are the owner's, and nobody else sees them. */
const known = ['PATH', 'XPC_SERVICE_NAME', 'SSH_AUTH_SOCK', 'OSLogRateLimit', 'XPC_FLAGS', 'RECORDED']

function variable(line: string): string {
  const [name = '', value = ''] = line.trim().split(' => ')
  return `\t\t${known.includes(name) ? `${name} => ${value}` : 'OTHER => …'}`
}

/** `launchctl print` of a job without the owner's variables: each stands there as OTHER. */
export function withoutVariables(text: string): string {
  let within = ''
  const lines = text.split('\n').map((line) => {
    const opened = /^\t(\S.*) = \{$/.exec(line)?.[1]
    if (opened !== undefined) within = opened
    else if (line === '\t}') within = ''
    return within.endsWith('environment') && line.startsWith('\t\t') ? variable(line) : line
  })
  return lines.filter((line, at) => line !== '\t\tOTHER => …' || lines[at - 1] !== line).join('\n')
}
