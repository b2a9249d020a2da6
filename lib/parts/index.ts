import { haproxy } from './haproxy.ts'
import { homebrew } from './homebrew.ts'
import { models } from './models.ts'
import { ollama } from './ollama.ts'
import type { Part } from './part.ts'
import { power } from './power.ts'
import { runtime } from './runtime.ts'
import { system } from './system.ts'
import { tailscale } from './tailscale.ts'

/** The parts in the order in which they are installed; uninstall goes backwards. */
export const parts: Part[] = [system, homebrew, tailscale, runtime, ollama, haproxy, models, power]
