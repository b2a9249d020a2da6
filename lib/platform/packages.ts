import type { Output } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'

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
  /** what packages are called here */
  names: { tailscale: [name: string, kind: PackageKind] }
  survey(look: Look): Promise<Packager>
  /** where it was looked for, in words */
  sought: string
  /** where a person gets it */
  site: string
  /** why the other one is not used, in words */
  besides(other: { path: string; prefix: string }): string
  /** what the person is asked for while it is set up */
  asks: string[]
  /** has it install itself; asks for the password when a person is there */
  setUp(host: Host, attended: boolean): Promise<void>
  /** what a person types to have it do something with packages; the first word is its path where another one may come first */
  typed(packager: Packager, verb: 'install' | 'upgrade' | 'uninstall', ...names: string[]): string
  /** the command that installs one, and its doing */
  installs(packager: Packager, name: string, kind: PackageKind): string
  install(host: Host, packager: Packager, name: string, kind: PackageKind, attended: boolean): Promise<Output>
  /** takes one away that install brought; absent where packages are the owner's alone */
  remove?(host: Host, packager: Packager, name: string): Promise<void>
  /** which installed packages there is a newer version of, by the list that it has; undefined when it does not say */
  newer(look: Look, packager: Packager): Promise<Newer[] | undefined>
  /** the command that upgrades one, and its doing; the version of before stays on the disk where it can */
  upgrades(packager: Packager, one: Pick<Newer, 'name' | 'kind'>): string
  upgrade(host: Host, packager: Packager, one: Pick<Newer, 'name' | 'kind'>, attended: boolean): Promise<Output>
  /** how a person goes back to the version of before, as far as it can, in sentences */
  back(look: Look, packager: Packager, one: Newer): Promise<string>
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
  /** where an Ollama lies that the package manager did not bring, how that is made newer, and the same as a fact */
  bundled: { ollama: string; upgrade: string; newer: string }
  /** what a person types to stop a service of the package that another user started */
  stopsService(name: string): string
  /** what a person types to have a service of root's begin anew */
  restartsService(name: string): string
  /** what a person types to install one and have its service run from the start of the machine */
  withService(name: string): string
  /** where a package's program lies, by a path that outlives an upgrade */
  program(packager: Packager, name: string): string
  /** the folder of the user's own that has its programs, and is on the PATH of whoever types them */
  commands(packager: Packager): string
  /** what a person types so that this folder is on the PATH */
  reach(packager: Packager): string
  /** the same text with paths that outlive an upgrade */
  stable(text: string): string
}

/** A package that is installed, and the version that an upgrade brings. */
export interface Newer {
  name: string
  kind: PackageKind
  installed: string
  current: string
  /** its owner told the package manager to leave it as it is */
  pinned: boolean
}

/** Ready-made for the command line, or an app. */
export type PackageKind = 'formula' | 'cask'
