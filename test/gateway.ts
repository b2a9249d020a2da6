import { readFileSync } from 'node:fs'
import type { Gateway, Listener } from '../lib/gateway/policy.ts'
import { parseSettings } from '../lib/site/settings.ts'

const read = (name: string) => readFileSync(new URL(`../templates/${name}`, import.meta.url), 'utf8')
/** The project's own. */
export const templates = { config: read('haproxy.cfg'), frontend: read('frontend.cfg') }

/** The listener of a machine on a tailnet. */
export const tailnet: Listener = {
  name: 'tailnet',
  addresses: ['100.64.0.7', 'fd7a:115c:a1e0::7'],
  port: 11434,
  sources: ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'],
}

/** A gateway with these settings. */
export function gateway(yaml = '', listeners = [tailnet], home = '/Users/ada'): Gateway {
  const settings = parseSettings(yaml, 'settings.yaml')
  return {
    settings,
    listeners,
    hosts: ['100.64.0.7', 'fd7a:115c:a1e0::7', 'studio.tail0lab.ts.net'],
    home,
    system: 'mac',
  }
}
