import { platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import { nodesToWarm } from '../site/nodes.ts'
import type { Setup } from '../site/setup.ts'
import { absent, leftBehind } from './absent.ts'
import { certificates } from './certificates.ts'
import { command } from './command.ts'
import { firewall } from './firewall.ts'
import { haproxy } from './haproxy.ts'
import { models, nodeModels } from './models.ts'
import { observer } from './observer.ts'
import { ollama } from './ollama.ts'
import { packages } from './packages.ts'
import type { Part } from './part.ts'
import { power } from './power.ts'
import { system } from './system.ts'
import { tailscale } from './tailscale.ts'
import { vip } from './vip.ts'

/** The parts in the order in which they are installed; uninstall goes backwards. */
export const parts: Part[] = [
  system,
  packages,
  tailscale,
  command,
  ollama,
  certificates,
  haproxy,
  firewall,
  vip,
  observer,
  models,
  power,
]

/** Without the proxy its address must be free before Ollama may take it, so what is left of it goes first. A gateway has no engine of its own, and what an earlier role left of one goes. */
export function partsOf(
  machine: Pick<Machine, 'system'>,
  { mode, settings }: Pick<Setup, 'mode' | 'settings'>,
): Part[] {
  const { without = [] } = platformOf(machine)
  return ordered(mode, settings).filter(({ name }) => !without.includes(name))
}

function ordered(mode: Setup['mode'], settings: Setup['settings']): Part[] {
  if (mode !== 'proxy')
    return [system, packages, tailscale, command, observer, vip, firewall, haproxy, ollama, models, power]
  if (settings.role === 'server') return parts
  const atNodes = nodesToWarm(settings).length > 0 ? nodeModels : absent(models, 'warm')
  return parts.map((part) => (part === ollama ? absent(part, 'engine') : part === models ? atNodes : part))
}

/** What uninstall takes back, in the order of installing: all parts, whatever the role is now, but for an engine and its models that a gateway never had. */
export const partsToUndo = (machine: Machine, setup: Setup): Part[] =>
  parts.filter(
    (part) =>
      setup.settings.role === 'server' ||
      (part !== ollama && part !== models) ||
      leftBehind(machine, setup, part === ollama ? 'engine' : 'warm'),
  )
