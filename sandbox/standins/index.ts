import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openBox, type StandIn } from './box.ts'

type Row = () => Promise<StandIn>

/** Every stand-in by the name of its command; imported when called. */
export const standIns: Record<string, Row> = {
  launchctl: async () => (await import('./launchctl.ts')).main,
  launchd: async () => (await import('./launchd.ts')).main,
  ollama: async () => (await import('./ollama.ts')).main,
  'box-dialer': async () => (await import('../box/dialer.ts')).main,
  'box-place': async () => (await import('./places.ts')).main,

  brew: async () => (await import('./brew.ts')).main,
  'brew-intel': async () => (await import('./brew.ts')).intel,
  'homebrew-installer': async () => (await import('./curl.ts')).installer,
  curl: async () => (await import('./curl.ts')).main,
  tailscale: async () => (await import('./tailscale.ts')).main,
  tailscaled: async () => (await import('./tailscale.ts')).daemon,
  Tailscale: async () => (await import('./tailscale.ts')).app,
  Ollama: async () => (await import('./ollama-app.ts')).main,

  sw_vers: async () => (await import('./system.ts')).swVers,
  uname: async () => (await import('./system.ts')).uname,
  arch: async () => (await import('./system.ts')).arch,
  sysctl: async () => (await import('./sysctl.ts')).main,
  id: async () => (await import('./system.ts')).id,
  whoami: async () => (await import('./system.ts')).whoami,
  hostname: async () => (await import('./system.ts')).hostname,
  scutil: async () => (await import('./system.ts')).scutil,
  'xcode-select': async () => (await import('./system.ts')).xcodeSelect,

  stat: async () => (await import('./files.ts')).stat,
  df: async () => (await import('./files.ts')).df,
  plutil: async () => (await import('./files.ts')).plutil,

  lsof: async () => (await import('./lsof.ts')).main,
  netstat: async () => (await import('./netstat.ts')).main,
  ifconfig: async () => (await import('./ifconfig.ts')).main,
  arp: async () => (await import('./netstat.ts')).arp,
  ps: async () => (await import('./ps.ts')).main,
  pgrep: async () => (await import('./pgrep.ts')).pgrep,
  pkill: async () => (await import('./pgrep.ts')).pkill,
  killall: async () => (await import('./pgrep.ts')).killall,

  pmset: async () => (await import('./power.ts')).pmset,
  caffeinate: async () => (await import('./power.ts')).caffeinate,
  fdesetup: async () => (await import('./power.ts')).fdesetup,
  defaults: async () => (await import('./power.ts')).defaults,
  socketfilterfw: async () => (await import('./firewall.ts')).main,

  sudo: async () => (await import('./sudo.ts')).main,
  open: async () => (await import('./desktop.ts')).open,
  osascript: async () => (await import('./desktop.ts')).osascript,
  log: async () => (await import('./desktop.ts')).log,
}

/** Where a Mac keeps the commands that scripts call by absolute path; all others are found on the PATH. */
export const absolutePlaces: Record<string, string[]> = {
  launchctl: ['/bin/launchctl'],
  sw_vers: ['/usr/bin/sw_vers'],
  sysctl: ['/usr/sbin/sysctl'],
  lsof: ['/usr/sbin/lsof'],
  netstat: ['/usr/sbin/netstat'],
  ifconfig: ['/sbin/ifconfig'],
  stat: ['/usr/bin/stat'],
  pmset: ['/usr/bin/pmset'],
  plutil: ['/usr/bin/plutil'],
  defaults: ['/usr/bin/defaults'],
  fdesetup: ['/usr/bin/fdesetup'],
  caffeinate: ['/usr/bin/caffeinate'],
  open: ['/usr/bin/open'],
  osascript: ['/usr/bin/osascript'],
  socketfilterfw: ['/usr/libexec/ApplicationFirewall/socketfilterfw'],
}

/** Stand-ins that are there only when their program was installed, or that no person calls: not for the PATH. */
export const offPath = [
  'launchd',
  'ollama',
  'brew',
  'brew-intel',
  'homebrew-installer',
  'tailscale',
  'tailscaled',
  'Tailscale',
  'Ollama',
  'box-dialer',
  'box-place',
  'socketfilterfw',
]

async function run(): Promise<number> {
  const [name = '', ...argv] = process.argv.slice(2)
  const row = standIns[name]
  const dir = process.env.BOX
  if (!row || dir === undefined) {
    process.stderr.write(`standins: ${row ? 'BOX is not set' : `no stand-in is called '${name}'`}\n`)
    return 127
  }
  return (await row())(argv, openBox(dir))
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // A reader that went away (head, grep -q) is no fault.
  process.stdout.on('error', () => process.exit(141))
  process.exit(await run())
}
