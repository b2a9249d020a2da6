import type { Host, Look, System } from '../host/host.ts'
import type { Addresses } from './addresses.ts'
import type { Packager, Packages } from './packages.ts'
import type { Places } from './places.ts'
import type { VirtualRouter } from './virtual-router.ts'
import type { TailscaleWords, Words } from './words.ts'

export type { Address, Addresses } from './addresses.ts'
export type { Newer, PackageKind, Packager, Packages } from './packages.ts'
export type { Places } from './places.ts'
export type { VirtualRouter } from './virtual-router.ts'
export type { TailscaleWords, Words } from './words.ts'

/** A home folder on some system: what decides how things are called and where they lie. */
export interface Somewhere {
  home: string
  system: System
}

/** The same for what one user has there. */
export interface Somebody extends Somewhere {
  uid: number
}

/** What a system must offer; each has a folder beside this file, and `here.ts` chooses. */
export interface Platform {
  places(home: string): Places
  /** names of our jobs; file names and targets are made from these alone */
  labels: Record<Role, string>
  /** logs of installs older than this project's log folder; their jobs name them, too */
  oldLogs: string[]
  jobFiles: JobFiles
  jobs(who: Somebody): Jobs
  packages: Packages
  listeners: Listeners
  processes: Processes
  keepers: Keepers
  addresses: Addresses
  power: Power
  firewall: Firewall
  /** absent where the system has none that knows addresses and ports */
  packetFilter?: PacketFilter
  /** absent where nothing moves an address from one machine to another */
  virtualRouter?: VirtualRouter
  /** absent where nothing restarts what uses a library that was renewed */
  restarter?: Restarter
  facts: Facts
  /** what the machine must be, which no installer can change */
  fitness(fixed: Fixed): Aspect[]
  tailscale: TailscaleWords
  words: Words
  /** the first listener where there is no tailnet: whoever reaches its address may come, with a key */
  door?: { name: 'inside'; address(look: Look): Promise<string | undefined> }
  /** names of the parts (lib/parts) that are not here */
  without?: string[]
  /** what is typed elsewhere, by the verbs that are nothing for such a machine */
  elsewhere?: Record<string, string>
  /** a Node of our own that jobs run by, copied from the running one; absent where a package manager keeps one */
  ownNode?: string
  /** modes of what not its owner alone uses: the sockets' folder, the observer's socket that HAProxy asks, the copy that runs */
  modes: { run: number; socket: number; copy: number }
  /** who HAProxy becomes when it has bound its addresses; absent where it is started as its owner */
  account?: { user: string; group: string }
  /** the uid of whoever installs and changes it; absent where each person has their own */
  administrator?: number
  /** whose process the engine is */
  engineUser(fixed: Pick<Fixed, 'user'>): string
  /** where Ollama keeps models unless it is told otherwise */
  models(home: string): string
  /** the name of the removable disk that a path would lie on, connected or not; undefined where it would be on none */
  diskOf(path: string): string | undefined
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
  /** what the system shows when new ones come, in words */
  shown: string
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
  /** whether a job goes with its file; one of somebody else, which our file only tells what to do, stays */
  isOurs(label: string): boolean
  /** after its file is gone */
  fileGone(host: Host, label: string): Promise<void>
  restart(host: Host, label: string): Promise<void>
  /** starts it unless it runs */
  kick(host: Host, label: string): Promise<void>
  /** which of these variables the session gives to every job, with their values */
  inherited(look: Look, names: string[]): Promise<[name: string, value: string][]>
  /** all that it says of one, without the owner's variables; empty where it knows none */
  told(look: Look, label: string): Promise<string>
  /** what a person types */
  typed: {
    all(label: string, log: string): Record<'status' | 'start' | 'stop' | 'restart' | 'logs', string>
    stop(label: string): string
    restart(label: string): string
    enable(label: string): string
    /** takes a variable of the session back */
    forget(name: string): string
    /** what shows the last words of a job, whose log this is */
    reads(label: string, log: string): string
    /** what is worth knowing of them all */
    note: string
  }
}

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
  /** what the person is asked for meanwhile */
  asks: string[]
  /** why uninstall leaves it as it is */
  keeps: string
  make(host: Host, attended: boolean): Promise<void>
}

/** What keeps a machine from being a server. */
export interface Power {
  /** whether the machine has a battery, and so is carried about */
  portable(look: Look): Promise<boolean>
  sleep: Change
  others: Aspect[]
  /** a command that keeps the machine awake as long as a process runs */
  awakeWhile(pid: number): string[]
}

/** What restarts services whose libraries were renewed, and may be told another way for one of them. */
export interface Restarter {
  /** what it is called */
  name: string
  /** it is there where this folder is */
  folder: string
  /** the program that it is to run instead of a restart of the gateway, and what that is */
  file: string
  text: string
}

/** What drops packets before a program sees them, by one table of rules that is ours. */
export interface PacketFilter {
  /** the job that loads the rules at every start */
  unit: string
  package: string
  program: string[]
  /** a table as the system lists it, without counters and members of sets; undefined when there is none */
  inForce(look: Look, table: string): Promise<string | undefined>
  /** loads the rules from their file, at once */
  load(host: Host): Promise<void>
  /** takes a table away, at once */
  unload(host: Host, table: string): Promise<void>
  /** what decides about the same packets beside it */
  others: Aspect[]
}

export interface Firewall {
  /** whether it lets a program be reached */
  lets(program: string): Change
}

/** A command's words, and what of its answer is ours to keep. */
export type Question = [argv: string[], kept?: (text: string) => string]

/** What the system says of the machine. */
export interface Facts {
  survey(look: Look): Promise<Fixed>
  /** bytes of memory; 0 where it does not say */
  memory(look: Look): Promise<number>
  /** whether memory runs out; undefined where it does not say */
  pressure(look: Look): Promise<'none' | 'high' | 'critical' | undefined>
  /** absent where there is no screen */
  notify?(host: Host, title: string, text: string): Promise<unknown>
  /** why a notification may not be seen, and what helps */
  unseen: { saw: string; help: string }
  /** commands that only look, whose answers a report needs: versions, and what keeps it from being a server */
  told: Question[]
  /** names of its account and of the computer */
  names(look: Look): Promise<string[]>
  /** what running this command would do, where the system tells packages and services from the rest */
  kindOf(command: string): 'package' | 'service' | undefined
}

/** What no part of ours can change. */
export interface Fixed extends Somewhere {
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
