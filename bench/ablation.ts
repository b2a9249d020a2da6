import { policies } from '../lib/gateway/policies/index.ts'
import type { Gateway } from '../lib/gateway/policy.ts'
import { describe, type GatewayOptions } from '../sandbox/lab/gateway.ts'
import { full, registryOf } from './targets.ts'

/** Policies that the others do without. */
const separable = ['log', 'connections', 'shape', 'names', 'limits', 'bodies', 'manage']

/** A rule as it stands in the text, where its placeholders are filled in. */
function pattern(line: string): RegExp {
  const parts = line.split(/\{\{\w+\}\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^\\s*${parts.join('.+?')}$`)
}

/** Rules that hold no port or address of the gateway they were rendered for, so they are found in any other's text. */
function rulesOf(name: string, gateway: Gateway): RegExp[] {
  const policy = policies(gateway).find((one) => one.name === name)
  const lines = Object.values(policy?.lines ?? {}).flat()
  // What turns another line's meaning (`.if` … `.endif`) stays as a pair without content.
  return lines.filter((line) => !line.startsWith('.')).map(pattern)
}

function without(name: string): (text: string) => string {
  const listener = { name: 'tailnet', addresses: ['127.0.0.1'], port: 1, sources: ['100.64.0.0/10'] }
  const rules = rulesOf(name, describe('/tmp/home', listener, full))
  return (text) => {
    const lines = text.split('\n')
    const kept = lines.filter((line) => !rules.some((rule) => rule.test(line)))
    if (kept.length === lines.length) throw new Error(`nothing of ${name} is in the configuration`)
    const left = kept.join('\n')
    // HAProxy 3.4 takes no word of large buffers where there are none.
    return left.includes('tune.bufsize.large') ? left : left.replaceAll(' use-large-buffer', '')
  }
}

/** The full gateway, and the same without one policy each. */
export const ablations: Record<string, Omit<GatewayOptions, 'enginePort'>> = {
  full: { settings: full, registry: registryOf(1000) },
  ...Object.fromEntries(
    separable.map((name) => [`without ${name}`, { settings: full, registry: registryOf(1000), alter: without(name) }]),
  ),
}
