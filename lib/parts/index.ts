import type { Mode } from '../site/receipt.ts'
import { haproxy } from './haproxy.ts'
import { models } from './models.ts'
import { observer } from './observer.ts'
import { ollama } from './ollama.ts'
import { packages } from './packages.ts'
import type { Part } from './part.ts'
import { power } from './power.ts'
import { runtime } from './runtime.ts'
import { system } from './system.ts'
import { tailscale } from './tailscale.ts'

/** The parts in the order in which they are installed; uninstall goes backwards. */
export const parts: Part[] = [system, packages, tailscale, runtime, ollama, haproxy, observer, models, power]

/** Without the proxy its address must be free before Ollama may take it, so what is left of it goes first. */
export const partsOf = (mode: Mode): Part[] =>
  mode === 'proxy' ? parts : [system, packages, tailscale, runtime, observer, haproxy, ollama, models, power]
