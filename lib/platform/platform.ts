import type { Output } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'

/** A home folder on some system: what decides how things are called and where they lie. */
export interface Somewhere {
  home: string
}

/** The same for what one user has there. */
export interface Somebody extends Somewhere {
  uid: number
}

/** What a system must offer; each has a folder beside this file, and `here.ts` chooses. */
export interface Platform {
  places(home: string): Places
  jobFiles: JobFiles
  jobs(who: Somebody): Jobs
  packages: Packages
  listeners: Listeners
  processes: Processes
  keepers: Keepers
  addresses: Addresses
  power: Power
  firewall: Firewall
  facts: Facts
  /** the name of the removable disk that a path would lie on, connected or not; undefined where it would be on none */
  diskOf(path: string): string | undefined
}

/** Where everything of ours lives in a home folder; one list for install, checks and uninstall. */
export interface Places {
  settings: string
  /** names, hashes and limits of the API keys */
  keys: string
  settingsFolder: string
  proxy: string
  config: string
  lastGood: string
  maps: string
  /** what HAProxy reads of the API keys; outside `maps`, since it outlives a configuration */
  keyMaps: string
  run: string
  adminSocket: string
  masterSocket: string
  /** whether HAProxy binds the tailnet's IPv6 address; read by it before its configuration */
  ipv6: string
  /** where HAProxy's own exporter answers */
  metricsSocket: string
  /** where the observer answers HAProxy with lists of models */
  listsSocket: string
  agents: string
  support: string
  runtime: string
  current: string
  state: string
  receipt: string
  lock: string
  backups: string
  /** what the observer says of itself */
  observer: string
  /** who used what, a file for each day */
  usage: string
  /** every request as HAProxy writes it down for the observer */
  access: string
  /** what people read of it */
  requestLog: string
  logs: string
}

/** Our jobs by what they do; each has the name that its system's supervisor knows it by. */
export type Role = 'engine' | 'gateway' | 'warm' | 'observer'

/** What the supervisor is told of a job, as it stands in its file. */
export interface JobFile {
  label: string
  text: string
  /** s that the job has to end before it is killed */
  endsWithin: number
  /** where what it says goes */
  log?: string
  /** a variable of its environment */
  variable(name: string): string | undefined
}

/** The files that describe jobs. */
export interface JobFiles {
  path(home: string, label: string): string
  /** from a template, whose `{{name}}` are replaced */
  filled(template: string, values: Record<string, string>): JobFile
  /** as it is on disk; undefined when there is none, or none that can be read */
  written(look: Look, label: string): Promise<JobFile | undefined>
  /** what of "starts at login, is kept alive, as a person waits for it" it does not say, in the system's words */
  lacks(file: JobFile): string[]
}

/** What the supervisor says of a job. */
export interface Job {
  state: string
  path?: string
  pid?: number
  lastExit?: number
  /** how often it was started since it was loaded */
  runs?: number
  arguments: string[]
  /** where it differs from its file, in words; empty when it runs as written */
  unlike(file: JobFile): string[]
}

/** The programs that run at login and are started again when they end. */
export interface Jobs {
  /** the job's full name, as a person types it */
  target(label: string): string
  job(look: Look, label: string): Promise<Job | undefined>
  /** labels of all jobs of this user that are loaded, those of other programs too */
  loaded(look: Look): Promise<string[]>
  /** switched off by a person: it stays off until switched on */
  disabled(look: Look, label: string): Promise<boolean>
  load(host: Host, label: string): Promise<void>
  /** throws when it has not ended after so many ms */
  unload(host: Host, label: string, waitMs: number): Promise<void>
  restart(host: Host, label: string): Promise<void>
  /** starts it unless it runs */
  kick(host: Host, label: string): Promise<void>
  /** which of these variables the session gives to every job, with their values */
  inherited(look: Look, names: string[]): Promise<[name: string, value: string][]>
  /** what a person types */
  typed: {
    all(label: string, log: string): Record<'status' | 'start' | 'stop' | 'restart' | 'logs', string>
    stop(label: string): string
    restart(label: string): string
    enable(label: string): string
    /** takes a variable of the session back */
    forget(name: string): string
    /** what is worth knowing of them all */
    note: string
  }
}

/** The package manager that counts here, and one that does not. */
export interface Packager {
  /** its program, where it is installed */
  program?: string
  /** where it is or would be */
  prefix: string
  other?: { path: string; prefix: string }
}

/** Where packages come from. */
export interface Packages {
  /** what people call it */
  name: string
  survey(look: Look): Promise<Packager>
  /** where it was looked for, in words */
  sought: string
  /** where a person gets it */
  site: string
  /** why the other one is not used, in words */
  besides(other: { path: string; prefix: string }): string
  /** has it install itself; asks for the password when a person is there */
  setUp(host: Host, attended: boolean): Promise<void>
  /** what a person types to have it do something with packages; the first word is its path where another one may come first */
  typed(packager: Packager, verb: 'install' | 'upgrade' | 'uninstall', ...names: string[]): string
  /** the command that installs one, and its doing */
  installs(packager: Packager, name: string, kind: PackageKind): string
  install(host: Host, packager: Packager, name: string, kind: PackageKind, attended: boolean): Promise<Output>
  /** whether its list of packages is not older than a week */
  recent(look: Look, packager: Packager): Promise<boolean>
  /** the command that renews the list, and its doing */
  renews(packager: Packager): string
  renew(host: Host, packager: Packager, attended: boolean): Promise<Output>
  /** which of these packages, and of what they need, would be compiled on this system (its first number); undefined when it does not say */
  compiled(look: Look, packager: Packager, names: string[], version: number): Promise<string[] | undefined>
  /** a system of this version, as people call it */
  release(version: number): string
  /** what helps then */
  compiling: string
  /** programs that an app brings along, which conflicts with the package */
  bundled: { ollama: string }
  /** what a person types to stop a service of the package that another user started */
  stopsService(name: string): string
  /** what a person types to install one and have its service run from the start of the machine */
  withService(name: string): string
  /** where a package's program lies, by a path that outlives an upgrade */
  program(packager: Packager, name: string): string
  /** the same text with paths that outlive an upgrade */
  stable(text: string): string
}

/** Ready-made for the command line, or an app. */
export type PackageKind = 'formula' | 'cask'

/** Somebody who listens on a port. A listener of another user may have no pid here. */
export interface ListenerFact {
  address: string
  port: number
  pid?: number
  command?: string
}

/** Whether an address is loopback. */
export const isLoopback = (address: string): boolean =>
  address.startsWith('127.') || address === '::1' || address === 'localhost'

export const describe = (fact: ListenerFact): string =>
  `${fact.command ?? 'a program of another user'}${fact.pid ? ` (process ${fact.pid})` : ''} on ${fact.address}`

/** Who listens. */
export interface Listeners {
  /** everybody on a port, on any address; binding proves nothing, since a wildcard and one address may coexist */
  on(look: Look, port: number): Promise<ListenerFact[]>
  /** everybody on every port */
  everywhere(look: Look): Promise<ListenerFact[]>
  /** who of this user holds a connection to a port */
  connected(look: Look, port: number): Promise<Connection[]>
  /** what a person types to see them */
  typed(port: number): string
}

/** The process at the near end of a connection. */
export interface Connection {
  pid: number
  command: string
}

/** A running program, whosever it is. */
export interface Process {
  pid: number
  parent: number
  user: string
  /** its words, by which a program may call itself otherwise than its file */
  args: string
}

/** The programs that run. */
export interface Processes {
  all(look: Look): Promise<Process[]>
  /** what a person knows a program by, from its words */
  name(process: Process): string
  /** whether a program is one of the system's own */
  isSystem(process: Process): boolean
}

/** Whose machine is looked at, and what its package manager is. */
export interface Owner extends Somebody {
  packager: Packager
  ssh: boolean
}

/** Who starts a program again when it ends, and how that is ended for good and undone. */
export interface Keeper {
  /** in words that follow "kept by" */
  who: string
  /** the job's full name, where it is one */
  job?: string
  /** commands that end it for good with what it keeps; none where that takes a password */
  stop: string[][]
  /** the command that brings it back; empty when only the person knows it */
  back: string[]
  /** what its owner types or does where `stop` is none, or was not enough */
  must?: string
}

/** A job that the supervisor starts by itself. */
export interface Written {
  keeper: Keeper
  /** its program and what that is told */
  words: string[]
  /** a variable of its environment */
  variable(name: string): string | undefined
  /** when it is started, in words */
  when: string
}

/** Who keeps programs alive. */
export interface Keepers {
  /** the one of a process; undefined when nobody is seen who would start it again */
  of(look: Look, who: Owner, all: Process[], pid: number): Promise<Keeper | undefined>
  /** jobs that are not ours, and whose files speak of something */
  written(look: Look, who: Owner, about: RegExp): Promise<Written[]>
  /** Ollama's own app, where it runs or would start at the next login */
  ollamaApp(look: Look, who: Owner): Promise<Keeper | undefined>
  isOllamaApp(process: Process): boolean
  /** exit codes of a command of `stop` that say that it is stopped */
  harmless(argv: string[]): number[]
}

/** A process and those above it, the nearest first; without the first process of all. */
export function ancestry(all: Process[], pid: number): Process[] {
  const found: Process[] = []
  let at = all.find((one) => one.pid === pid)
  while (at && at.pid > 1 && !found.includes(at)) {
    found.push(at)
    const above = at.parent
    at = all.find((one) => one.pid === above)
  }
  return found
}

/** An address of this machine and the interface that carries it. */
export interface Address {
  family: 4 | 6
  address: string
  device: string
  /** why nobody can bind it now: the system still looks for a double of it, or has found one */
  unready?: string
}

/** The machine's own addresses. */
export interface Addresses {
  all(look: Look): Promise<Address[]>
  /** whether an interface is a tunnel, as Tailscale's is */
  isTunnel(device: string): boolean
}

/** What a system says of itself, in words: as it should be, to be changed, or not to be known. */
export type Said =
  | { is: 'good'; saw: string }
  | { is: 'wanting'; saw: string; help: string }
  | { is: 'unknown'; saw: string }

/** Something that a system says of itself. */
export interface Aspect {
  id: string
  title: string
  ask(look: Look): Promise<Said>
}

/** The same where one command, which needs the password, changes it. */
export interface Change extends Aspect {
  question: string
  /** why uninstall leaves it as it is */
  keeps: string
  make(host: Host, attended: boolean): Promise<void>
}

/** What keeps a machine from being a server. */
export interface Power {
  sleep: Change
  others: Aspect[]
  /** a command that keeps the machine awake as long as a process runs */
  awakeWhile(pid: number): string[]
}

export interface Firewall {
  /** whether it lets a program be reached */
  lets(program: string): Change
}

/** What the system says of the machine. */
export interface Facts {
  survey(look: Look): Promise<Fixed>
  /** bytes of memory; 0 where it does not say */
  memory(look: Look): Promise<number>
  /** whether memory runs out; undefined where it does not say */
  pressure(look: Look): Promise<'none' | 'high' | 'critical' | undefined>
  notify(host: Host, title: string, text: string): Promise<unknown>
  /** why a notification may not be seen, and what helps */
  unseen: { saw: string; help: string }
  /** what running this command would do, where the system tells packages and services from the rest */
  kindOf(command: string): 'package' | 'service' | undefined
}

/** What no part of ours can change. */
export interface Fixed {
  home: string
  kernel: string
  /** the system's version as numbers, 26.5.1 -> [26, 5, 1] */
  version: number[]
  appleSilicon: boolean
  /** this process runs under Rosetta */
  translated: boolean
  /** bytes */
  memory: number
  uid: number
  user: string
  /** the user has a session in which our jobs run */
  desktop: boolean
  /** this runs over ssh: what asks at the screen cannot be done from here */
  ssh: boolean
}
