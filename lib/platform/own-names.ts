import { json } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { platformOf } from './here.ts'
import type { Own } from './redact.ts'
import { statusJson } from './tailscale.ts'

const fields = ['MagicDNSSuffix', 'Name', 'LoginName', 'DisplayName', 'DNSName', 'HostName']

/** Every name within what `tailscale status --json` says: of this machine, its tailnet, all devices and their users. */
function named(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'string' && fields.includes(key) ? [inner.replace(/\.$/, '')] : named(inner),
  )
}

/** The names that this machine, its account and its tailnet with all devices have, so that they can be taken out. */
export async function ownNames(look: Look): Promise<Own> {
  const tailnet = named(json(await statusJson(look)))
  const domains = tailnet.map((name) => name.split('.').slice(1).join('.'))
  const all = [...(await platformOf(look).facts.names(look)), ...tailnet, ...domains]
  return { home: look.home, names: [...new Set(all.filter(Boolean))] }
}
