import { freshMac } from '../standins/mac-state.ts'
import { net } from './init.ts'

/** bare: a Mac as unpacked; brew: with Homebrew; ready: with Ollama and HAProxy too, and Tailscale up. */
export type Preset = 'bare' | 'brew' | 'ready'

type Json = Record<string, unknown>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Lays objects over each other, to any depth; what comes later wins. */
export function combine(...layers: (object | undefined)[]): Json {
  const result: Json = {}
  for (const [key, value] of layers.flatMap((layer) => Object.entries(layer ?? {}))) {
    const before = result[key]
    result[key] = isObject(before) && isObject(value) ? combine(before, value) : value
  }
  return result
}

const joinedLater = {
  ipv4: net.mac.tailnet,
  ipv6: net.mac.tailnet6,
  suffix: 'tail0lab.ts.net',
  hostName: 'studio',
  user: { id: 1111, loginName: 'ada@example.com', displayName: 'Ada' },
  peers: [
    {
      hostName: 'laptop',
      ipv4: net.laptop.tailnet,
      ipv6: net.laptop.tailnet6,
      os: 'macOS',
      userId: 1111,
      id: 'nLaptop1CNTRL',
      nodeId: 4712,
      online: true,
    },
  ],
}

const presets: Record<Preset, object> = {
  bare: { tailscale: joinedLater },
  brew: { tailscale: joinedLater, brew: { present: true } },
  ready: {
    tailscale: { ...joinedLater, variant: 'standalone', state: 'Running', joined: true },
    brew: { present: true },
  },
}

/** The Mac of a preset, as differences from a fresh one. `haproxy` is the version that Homebrew has here. */
export function presetMac(preset: Preset, haproxy: string | undefined): object {
  const latest = haproxy === undefined ? {} : { brew: { latest: { haproxy } } }
  if (preset !== 'ready') return combine(presets[preset], latest)
  const { ollama } = freshMac().brew.latest
  return combine(presets.ready, latest, {
    brew: { installed: { ollama, ...(haproxy === undefined ? {} : { haproxy }) } },
  })
}
