/** The knobs of the stand-in launchd, under `launchd` in mac.json. */
export interface LaunchdKnobs {
  /** which macOS it answers like; taken from the version when not given */
  profile?: '15' | '26'
  /** how long the 10 s between two starts lasts here, in ms; a plist's own interval shrinks alike */
  throttleMs?: number
  /** this many bootstraps fail with 5 before one passes */
  transientBootstrapFailures?: number
  /** this many loaded jobs do not start though they should, as seen on 26.5.1; a plain kickstart cures them */
  stuckStarts?: number
  /** labels switched off under Login Items: refused, and unknown to print */
  btmBlocked?: string[]
  /** how bootstrap answers for a disabled label */
  disabledCode?: 5 | 119
  /** how bootstrap answers when the label is there already */
  alreadyLoadedCode?: 5 | 37 | 17
  /** the first signal of `kickstart -k` */
  kickstartSignal?: 'SIGTERM' | 'SIGKILL'
  /** a folder whose plists are loaded into the system domain at boot; a real Mac's is /Library/LaunchDaemons */
  daemons?: string
  /** apps that `launchctl list` shows beside the jobs, by row label: `application.com.electron.ollama.1.2` to a pid or null */
  apps?: Record<string, number | null>
}

/** Tailscale's ipn.State (ipn/backend.go). */
export type BackendState =
  | 'NoState'
  | 'InUseOtherUser'
  | 'NeedsLogin'
  | 'NeedsMachineAuth'
  | 'Stopped'
  | 'Starting'
  | 'Running'

export type TailscaleVariant = 'absent' | 'standalone' | 'appstore' | 'formula'

/** Another machine of the tailnet. */
export interface Peer {
  hostName: string
  ipv4: string
  ipv6?: string
  os?: string
  userId: number
  /** another tailnet shares it: its own suffix */
  suffix?: string
  /** Tailscale's stable id */
  id: string
  nodeId: number
  tags?: string[]
  online?: boolean
  apiPort?: number
  /** attributes of the node, as `status --json` lists them */
  capabilities?: string[]
  /** what the policy grants this peer here, as whois shows it */
  capMap?: Record<string, unknown>
}

export interface TailnetUser {
  id: number
  loginName: string
  displayName: string
  picture?: string
}

/** What the stand-in Tailscale is and answers. */
export interface TailscaleMac {
  variant: TailscaleVariant
  /** a second variant on the same Mac: they fight */
  second?: TailscaleVariant
  /** false: the app was quit, or tailscaled does not run */
  daemon: boolean
  /** `Install CLI` was chosen in the app's menu: /usr/local/bin/tailscale is there */
  menuCli: boolean
  state: BackendState
  version: string
  hostName: string
  /** what the control server gives at login; shown from then on */
  ipv4: string
  ipv6: string
  /** MagicDNS suffix of the tailnet, e.g. tail1234.ts.net */
  suffix: string
  /** name of the tailnet */
  tailnet: string
  user: TailnetUser
  /** a key is there: false when fresh or logged out */
  joined: boolean
  keyExpiry?: string
  /** overrides the health lines that the state brings */
  health?: string[]
  authUrl: string
  /** was on a tailnet before this process of the daemon: its endpoints stay known */
  endpointsKnown?: boolean
  /** a login is under way: `status` shows the address */
  loginPending?: boolean
  /** `up` succeeds after this many ms; without it, when someone sets the state to Running */
  loginAfterMs?: number
  /** the deadline of `up` comes this many times sooner */
  hurry?: number
  /** logging in leads to NeedsMachineAuth */
  needsApproval?: boolean
  /** settings of the person's own, as the flags of `up` that give them; true for one without a value */
  own?: Record<string, string | true>
  /** `up` must not be run by this user (open source variant without operator) */
  denied?: boolean
  /** what `tailscale serve` holds, as `serve status --json` prints it */
  serve: Record<string, unknown>
  /** names that it gets certificates for, its own unless told; none where HTTPS is switched off in the tailnet */
  certDomains?: string[]
  /** certificates (PEM, with the chain) that the authority has, the older first; without any it is out of reach */
  certificates?: { chain: string; key: string }[]
  /** MagicDNS is switched off for the tailnet */
  magicDnsOff?: boolean
  /** entries of Peer and User that are null, as for devices that left while it was asked */
  nullEntries?: boolean
  peers: Peer[]
  users: TailnetUser[]
  tags?: string[]
  os: string
  relay: string
  endpoints: string[]
  capabilities: string[]
  nodeId: number
  id: string
  peerApiPort: number
}

/** A failure that brew shows in place of doing what it was told. */
export interface BrewFailure {
  verb: string
  name?: string
  stderr: string
  code: number
  /** how often it still fails; for ever when absent */
  times?: number
}

export interface BrewMac {
  present: boolean
  /** false: what is downloaded fails */
  network: boolean
  installed: Record<string, string>
  /** versions that a formula's new install or an upgrade brings; haproxy's is that of its program where none is said */
  latest: Record<string, string>
  casks: Record<string, string>
  latestCasks: Record<string, string>
  /** formulae that their owner holds where they are */
  pinned?: string[]
  /** its list of packages was last refreshed so many days ago: names that it does not know, and versions that it brings */
  old?: { days: number; unknown?: string[]; latest?: Record<string, string> }
  /** formulae without a bottle for this macOS: they are compiled where Homebrew no longer supports it, and refused elsewhere */
  bottleless?: string[]
  /** the oldest macOS that it supports, as its newest version says */
  oldestMacos: number
  fail?: BrewFailure
  /** formulae that brings further packages, so that brew 6 asks before installing them */
  dependencies: Record<string, string[]>
  /** real HAProxy programs by version; the box fills it from the distribution's packages */
  haproxyBinaries: Record<string, string>
  /** where the libraries are that those programs need beside the system's own */
  libraryPath: string
  /** another `ollama` program that brew installs in place of the stand-in */
  ollamaBinary?: string
}

/** What the kernel does otherwise than Linux (sandbox/box/xnu). */
export interface XnuMac {
  /** the library that is laid over jobs; without it the kernel is Linux's in this, too */
  library?: string
  /** one of so many sockets that a program hands to another gets lost; none unless told */
  loses?: number
}

export interface SudoMac {
  /** allowed without a password, by password, or never (not an administrator) */
  mode: 'allowed' | 'password' | 'not-admin'
  /** what is accepted where one is asked */
  password: string
  /** a password was given up to this moment, ms since 1970 */
  cachedUntil?: number
}

export interface FirewallMac {
  /** 0 off, 1 on, 2 blocks all incoming connections */
  state: 0 | 1 | 2
  stealth: boolean
  /** known programs; true = incoming connections allowed */
  apps: Record<string, boolean>
}

export interface NetworkMac {
  /** the box has a network namespace of its own: addresses may be added there */
  namespaced: boolean
  /** a plain box, beside this machine's own programs: a question about all of them is about the box's alone */
  shared?: boolean
  /** device that carries the tailnet addresses */
  device: string
  /** ms that Tailscale's process keeps each packet to this Mac's own IPv4 address, which macOS sends through it */
  loopMs?: number
  /** what becomes of the tunnel's IPv6 address: never there, or shown as tentative and bound by nobody (XNU refuses) */
  ipv6?: 'absent' | 'tentative'
  /** the `ip` program, when it is not on the PATH */
  ip?: string
  /** its libraries, when it does not find them itself */
  libraryPath?: string
}

/** The Mac's pretended state: all of mac.json. */
export interface MacState {
  macos: string
  /** kernel release; follows the version when absent */
  kernel?: string
  build?: string
  chip: string
  arch: 'arm64' | 'x86_64'
  /** this terminal runs under Rosetta */
  translated: boolean
  /** bytes */
  memory: number
  cores: number
  wiredLimitMb: number
  uid: number
  user: string
  fullName: string
  shell: string
  computerName: string
  /** over ssh nobody allows osascript to tell an app anything: it waits this long, ms, and fails */
  automationMs?: number
  /** the user has a desktop session; false = logged in over ssh only */
  desktop: boolean
  /** Homebrew's folder */
  prefix: string
  applications: string
  /** where the app's menu puts its command */
  usrLocalBin: string
  brew: BrewMac
  /** an Intel Mac's Homebrew, brought along to this one: it lies in the folder above `usrLocalBin`, and its programs run under Rosetta */
  intelBrew?: Pick<BrewMac, 'installed'>
  tailscale: TailscaleMac
  ollamaApp: { installed: boolean; running: boolean; version: string; expose: boolean }
  pmset: { ac: Record<string, number>; battery?: Record<string, number>; sleepDisabled?: boolean }
  fileVault: boolean
  autoLoginUser?: string
  /** further domains and keys that `defaults read` knows */
  defaults: Record<string, Record<string, string>>
  firewall: FirewallMac
  sudo: SudoMac
  /** Command Line Tools are installed */
  commandLineTools: boolean
  /** the session's variables (launchctl setenv) */
  setenv: Record<string, string>
  launchd: LaunchdKnobs
  xnu: XnuMac
  network: NetworkMac
  /** addresses by device to show in place of the machine's own (a box without a network namespace) */
  fakeAddresses?: Record<string, string[]>
  /** ports whose listeners belong to root: lsof does not show them to the user */
  rootPorts: number[]
  /** free bytes that df shows in place of the disk's own */
  diskFree?: number
}

const gibibyte = 1024 ** 3

function freshTailscale(): TailscaleMac {
  return {
    variant: 'absent',
    daemon: true,
    menuCli: false,
    state: 'NeedsLogin',
    version: '1.102.5',
    hostName: 'studio',
    ipv4: '100.101.102.103',
    ipv6: 'fd7a:115c:a1e0::4d01:6667',
    suffix: 'tail1234.ts.net',
    tailnet: 'ada@example.com',
    user: { id: 1111, loginName: 'ada@example.com', displayName: 'Ada' },
    joined: false,
    authUrl: 'https://login.tailscale.com/a/0123456789abcd',
    serve: {},
    peers: [],
    users: [],
    os: 'macOS',
    relay: 'fra',
    endpoints: ['192.0.2.10:41641'],
    capabilities: ['https', 'https://tailscale.com/cap/file-sharing', 'https://tailscale.com/cap/is-admin'],
    nodeId: 4711,
    id: 'nStudio1CNTRL',
    peerApiPort: 58436,
  }
}

function freshBrew(): BrewMac {
  return {
    present: false,
    network: true,
    installed: {},
    latest: { ollama: '0.32.3', tailscale: '1.102.5', node: '24.4.0' },
    casks: {},
    latestCasks: { 'tailscale-app': '1.102.5', 'ollama-app': '0.32.3' },
    dependencies: {},
    oldestMacos: 14,
    haproxyBinaries: {},
    libraryPath: '',
  }
}

/** A desktop Mac's values (`pmset -g custom` on a Mac Studio: no battery section). */
function freshPower(): Record<string, number> {
  return {
    'Sleep On Power Button': 1,
    autorestart: 0,
    powernap: 1,
    networkoversleep: 0,
    disksleep: 10,
    sleep: 1,
    ttyskeepawake: 1,
    displaysleep: 10,
    tcpkeepalive: 1,
    womp: 1,
  }
}

/** A bare Mac, fresh from its first login. */
export function freshMac(): MacState {
  return {
    macos: '26.5.1',
    chip: 'Apple M4 Max',
    arch: 'arm64',
    translated: false,
    memory: 64 * gibibyte,
    cores: 16,
    wiredLimitMb: 0,
    uid: 501,
    user: 'ada',
    fullName: 'Ada Lovelace',
    shell: '/bin/zsh',
    computerName: 'Studio',
    desktop: true,
    prefix: '/opt/homebrew',
    applications: '/Applications',
    usrLocalBin: '/usr/local/bin',
    brew: freshBrew(),
    tailscale: freshTailscale(),
    ollamaApp: { installed: false, running: false, version: '0.32.3', expose: false },
    pmset: { ac: freshPower() },
    fileVault: false,
    defaults: {},
    firewall: { state: 0, stealth: false, apps: {} },
    sudo: { mode: 'allowed', password: 'secret' },
    commandLineTools: true,
    setenv: {},
    launchd: {},
    xnu: {},
    network: { namespaced: false, device: 'utun4' },
    rootPorts: [],
  }
}
