import { exitCodes, Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { platformOf } from '../platform/here.ts'
import type { Newer, PackageKind } from '../platform/platform.ts'
import { ownVersion } from '../site/engine.ts'
import type { Program } from '../site/known-good.ts'
import type { Machine } from '../site/machine.ts'
import { spell } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'

/** One program of ours that a package manager may upgrade. */
interface Upgradable {
  program: Program
  title: string
  /** the package that it came in, or why no package manager upgrades it here */
  from(machine: Machine, setup: Setup): { name: string; kind: PackageKind } | string
  /** what prints its version */
  version(machine: Machine, setup: Setup): string[]
  /** what an upgrade means for who uses the server */
  effect(machine: Machine, setup: Setup): string
}

/** In the order in which they are upgraded: what may cut the way to this machine comes last. */
const upgradables: Upgradable[] = [
  {
    program: 'haproxy',
    title: 'HAProxy',
    from: (_machine, { mode }) =>
      mode === 'proxy' ? { name: 'haproxy', kind: 'formula' } : 'it is not used here (no proxy)',
    version: (_machine, { programs }) => [programs.haproxy, '-v'],
    effect: () => 'reloads; no answer is cut',
  },
  {
    program: 'ollama',
    title: 'Ollama',
    from: (machine, { programs }) =>
      programs.ollama === platformOf(machine).packages.bundled.ollama
        ? platformOf(machine).packages.bundled.newer
        : { name: 'ollama', kind: 'formula' },
    version: (_machine, { programs }) => [...ownVersion, programs.ollama, '--version'],
    effect: (_machine, { settings }) =>
      `restarts when no answer runs (${spell(settings.drain)} at most); new requests get 429 meanwhile`,
  },
  {
    program: 'tailscale',
    title: 'Tailscale',
    from({ tailscale: { variants } }) {
      if (variants.includes('standalone')) return { name: 'tailscale-app', kind: 'cask' }
      if (variants.includes('formula')) return { name: 'tailscale', kind: 'formula' }
      return variants.includes('appstore') ? 'the App Store updates it' : 'it was not brought by the package manager'
    },
    version: ({ tailscale: { cli = 'tailscale' } }) => ['env', 'TAILSCALE_BE_CLI=1', cli, 'version'],
    effect: (machine) =>
      machine.tailscale.variants.includes('standalone')
        ? 'every tailnet connection ends for a moment; it may ask at the screen'
        : `the running daemon stays old until: ${platformOf(machine).packages.restartsService('tailscale')}`,
  },
]

/** How things stand with one program. */
export interface Standing {
  program: Program
  title: string
  /** the version that is installed; undefined when it does not say */
  installed: string | undefined
  /** what an upgrade would bring */
  newer?: Newer
  /** why it is left as it is, newer or not */
  left?: string
  effect: string
}

/** What is installed and what is newer, by the package manager's own word. Throws `Stop` (exit 3) when that says nothing. */
export async function standings(look: Look, machine: Machine, setup: Setup): Promise<Standing[]> {
  const { packages } = platformOf(machine)
  const listed = machine.packager.program && (await packages.newer(look, machine.packager))
  if (!listed)
    throw new Stop(
      exitCodes.precondition,
      `${packages.name} does not say what is newer${machine.packager.program ? '' : ': it is not installed here'}. Nothing was changed.`,
    )
  return Promise.all(upgradables.map((one) => standing(look, machine, setup, one, listed)))
}

async function standing(
  look: Look,
  machine: Machine,
  setup: Setup,
  { program, title, from, version, effect }: Upgradable,
  listed: Newer[],
): Promise<Standing> {
  const { stdout } = await look.query(version(machine, setup))
  const source = from(machine, setup)
  const newer =
    typeof source === 'string'
      ? undefined
      : listed.find(({ name, kind }) => name === source.name && kind === source.kind)
  const pinned = newer?.pinned ? `you hold it at ${newer.installed}` : undefined
  return {
    program,
    title,
    installed: /\d+(\.\d+)+/.exec(stdout)?.[0],
    newer,
    left: typeof source === 'string' ? source : pinned,
    effect: effect(machine, setup),
  }
}

export const programs = upgradables.map(({ program }) => program)

/** Those that an upgrade now would touch. */
export const due = (all: Standing[], only: string[]): (Standing & { newer: Newer })[] =>
  all.flatMap((one) =>
    one.newer && !one.left && (only.length === 0 || only.includes(one.program)) ? [{ ...one, newer: one.newer }] : [],
  )
