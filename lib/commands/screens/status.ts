import type { ChalkInstance } from 'chalk'
import { remaining, type Standing } from '../../certificates/checks.ts'
import { certificateUse } from '../../gateway/listeners.ts'
import { gatewayOf } from '../../gateway/of-site.ts'
import type { Listener } from '../../gateway/policy.ts'
import { placesOf } from '../../gateway/services.ts'
import type { Named } from '../../host/typed.ts'
import { heldBy } from '../../parts/vip-holder.ts'
import { nobodyIn } from '../../people/registry.ts'
import { reachableAs } from '../../platform/tailscale.ts'
import type { Registry } from '../../site/limits.ts'
import type { Machine } from '../../site/machine.ts'
import { gigabytes } from '../../site/models.ts'
import { ownNames } from '../../site/services.ts'
import { asksKeys } from '../../site/settings.ts'
import type { Setup } from '../../site/setup.ts'
import { counts } from '../../steps/results.ts'
import type { Result } from '../../steps/step.ts'
import { baseUrl } from '../next-steps.ts'
import type { Overview } from '../overview.ts'
import { whoComes } from './end.ts'
import { waitingLines, worth, wrong } from './misses.ts'
import { columns } from './wrap.ts'

export interface Seen {
  machine: Machine
  setup: Setup
  results: Result[]
  overview: Overview
  /** what the settings say that is not in force yet, a sentence each */
  waiting?: string[]
  /** when the settings and keys were last copied away; ms since 1970 */
  backup?: number
}

/** How the server does, on one screen: what is wrong first, then what it does now, then what is worth doing. */
export function statusScreen(seen: Seen, named: Named, chalk: ChalkInstance, now = Date.now()): string {
  const { results, setup } = seen
  const { missed } = counts(results)
  const all = `All ${results.length} checks: ${named('status --verbose')}. As it happens: ${named('status --watch')}.`
  const facts = columns(setup.mode === 'proxy' ? factsOf(seen, named, now) : [])
  const open = waitingLines(seen.waiting ?? [], named, chalk)
  if (missed > 0)
    return [...wrong(results, 3, named('doctor'), chalk), ...open, ...facts, '', notAll(missed, named)].join('\n')
  const nobody = setup.mode === 'proxy' ? nobodyIn(setup.registry, setup.settings, now) : undefined
  const head = nobody
    ? `${chalk.yellow('!')} ${nobody}; make one: ${named('keys add NAME')}`
    : `${chalk.green('✓')} ${headOf(seen)}`
  return [
    ...open,
    ...(nobody || open.length === 0 ? [head] : []),
    ...facts,
    ...worth(
      results.filter(({ saw }) => saw !== nobody),
      2,
      named('doctor'),
      chalk,
    ),
    all,
  ].join('\n')
}

const notAll = (missed: number, named: Named): string =>
  `NOT AS PROMISED: ${missed} missed. More on each: ${named('doctor')}; all checks: ${named('status --verbose')}.`

function headOf({ setup, overview: { up } }: Seen): string {
  // What is said is what was chosen: no gateway, and nobody from outside.
  if (setup.mode === 'local') return 'All is as the settings say: Ollama answers on this machine only.'
  return up === undefined ? 'All is as the settings say.' : `All is as the settings say, and up for ${spoken(up)}.`
}

function factsOf({ machine, setup, overview, backup }: Seen, named: Named, now: number): string[][] {
  const { ipv4, ipv6 } = machine.tailscale
  const own = [ipv4, ipv6].filter((one) => one !== undefined && one !== reachableAs(machine.tailscale))
  return [
    ['Address', `${baseUrl(machine, setup)}${own.length > 0 ? ` (${own.join(', ')})` : ''}`],
    ['Who', whoComes(setup, named)],
    ...alsoAt(setup).map((text) => ['Also', text]),
    ...pairOf(setup, overview),
    ...servicesAt(machine, setup).map((text) => ['Service', text]),
    ['Models', setup.settings.role === 'gateway' ? `those of the nodes: ${named('nodes')}` : modelsOf(overview, named)],
    ['Now', nowOf(overview)],
    ...(!asksKeys(setup.settings) ? [] : [['Keys', keysOf(setup.registry, now)]]),
    ...certificatesOf(overview.certificates ?? [], now),
    ['Backup', backup === undefined ? `none yet: ${named('backup FILE')}` : `of ${day(backup)}`],
  ]
}

/** Which of two gateways has their address. */
const pairOf = ({ settings: { vip } }: Setup, { pair }: Overview): string[][] =>
  vip && pair ? [['Pair', `${heldBy(pair.holder, vip)}${pair.reachable ? '' : '; the other one does not answer'}`]] : []

/** What else is listened on, in a line each. */
function alsoAt({ settings }: Setup): string[] {
  const { tailnet, inside, lan, public: open } = settings.listeners
  const [name = 'HOST'] = [...ownNames(settings), ...Object.keys(settings.tls)]
  const https = (port: number | undefined) => `https://${name}:${port ?? settings.port}`
  const http = (addresses: string[], port: number | undefined) =>
    addresses.map((one) => `http://${one.includes(':') ? `[${one}]` : one}:${port ?? settings.port}`).join(', ')
  const asked = (listener: Pick<Listener, 'certificates'>) =>
    certificateUse(listener, name) === 'required' ? 'a client certificate' : 'a key'
  return [
    ...(tailnet ? [`${https(tailnet.tls_port)} (tailnet)`] : []),
    ...(inside
      ? [
          `${http(inside.addresses, inside.port)} (${inside.from.join(', ')}${inside.access === 'from' ? '' : ' with a key'})`,
        ]
      : []),
    ...(lan
      ? [
          `${lan.plain ? http(lan.addresses, lan.port) : https(lan.port)} (${lan.sources.join(', ')} with ${asked(lan)})`,
        ]
      : []),
    ...(open ? [`${https(open.port)} (everybody with ${asked(open)})`] : []),
  ]
}

/** Where each service is reached, in a line each. */
function servicesAt(machine: Machine, setup: Setup): string[] {
  const gateway = gatewayOf(machine, setup)
  return (gateway.services ?? []).map((service) => {
    const [first] = placesOf(gateway, service)
    const port = first?.port === 443 ? '' : `:${first?.port}`
    return `https://${service.name}${port} (${service.kind.what}, on ${service.listeners.join(', ')})`
  })
}

/** What is served for each name, and how long it lasts; what is wrong with one is told elsewhere. */
const certificatesOf = (all: Standing[], now: number): string[][] => {
  const told = all.map(({ name, held, shown }) => {
    const facts = shown.find((one) => one.facts)?.facts ?? held
    return facts ? `${name} for ${remaining(facts, now)}` : `${name} without one`
  })
  return told.length === 0 ? [] : [['TLS', told.join(', ')]]
}

function modelsOf({ loaded, installed }: Overview, named: Named): string {
  if (loaded === undefined || installed === undefined) return 'not known, since Ollama does not answer'
  if (installed === 0) return `none on disk: ${named('warm NAME')}`
  const inMemory = loaded.map(({ name, size }) => `${name} (${gigabytes(size)})`).join(', ')
  return `${inMemory || 'none'} in memory; ${installed} on disk`
}

function nowOf({ live }: Overview): string {
  if (!live) return 'not known, since the gateway does not answer'
  const who = [...new Set(live.running.map((one) => (one.who === '-' ? one.client.replace(/:\d+$/, '') : one.who)))]
  const answers = `${live.running.length} ${live.running.length === 1 ? 'answer runs' : 'answers run'}`
  return `${answers}${who.length > 0 ? ` (${who.join(', ')})` : ''}, ${live.waiting} wait`
}

const soon = 14 * 86_400_000

function keysOf({ keys }: Registry, now: number): string {
  const names = Object.keys(keys)
  const ends = names.flatMap((name) => {
    const { expires } = keys[name] ?? {}
    const left = expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires) - now
    if (left > soon) return []
    return [left <= 0 ? `${name} has ended` : `${name} ends in ${spoken(left / 1000)}`]
  })
  return [`${names.length}`, ...ends].join('; ')
}

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** A length of time in its largest unit: 273600 s is `3 days`. */
function spoken(seconds: number): string {
  const units: [number, string][] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ]
  const [unit, name] = units.find(([length]) => seconds >= length) ?? [1, 'second']
  const count = Math.floor(seconds / unit)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}
