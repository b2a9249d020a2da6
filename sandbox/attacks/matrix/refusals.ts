import { covers } from '../../../lib/site/tls.ts'

/** What somebody set, by the setting's path; `key.` is before a limit of a key, `haproxy` is its version, `system` is linux where it is no Mac. What is not in it was left out. */
export type Combination = Record<string, unknown>

/** A kind of what is refused before anything is changed. */
export interface Refusal {
  /** why nobody can have it */
  why: string
  exit: number
  /** what is said */
  says: RegExp
  /** the smallest that shows it */
  example: Combination
  /** whether a combination of values that are each allowed is one of this kind; absent where a value alone is */
  when?(combination: Combination): boolean
}

const has = (list: unknown, name: string): boolean => Array.isArray(list) && list.includes(name)
const within = (value: unknown, word: string): boolean => JSON.stringify(value ?? '').includes(`"${word}"`)
const any = (one: Combination, ...paths: string[]): boolean =>
  Object.keys(one).some((path) => paths.some((begin) => path.startsWith(begin)))

function older({ haproxy }: Combination, [major, minor]: [number, number]): boolean {
  if (haproxy === undefined) return false
  const [one = 0, other = 0] = `${haproxy}`.split('.').map(Number)
  return one < major || (one === major && other < minor)
}

const tooOld = (what: string, since: [number, number], asked: (one: Combination) => boolean) => ({
  why: `HAProxy has ${what} from ${since.join('.')} on, and a limit that does not hold would be none`,
  exit: 3,
  says: new RegExp(`too old for .*${since.join('\\.')} is needed`),
  when: (one: Combination) => older(one, since) && asked(one),
})

type Listeners = Record<string, { port?: number; plain?: boolean; certificates?: unknown }>
type Services = Record<string, { name: string; listeners?: string[] }>

const servicesOf = ({ services }: Combination) => Object.values((services ?? {}) as Services)

const byHttps = (listeners: unknown): boolean =>
  Object.entries((listeners ?? {}) as Listeners).some(([name, { plain }]) => name !== 'inside' && !plain)

/** Whether a name has a certificate of an authority. */
export const ordered = (tls: unknown): boolean => Object.values(tls ?? {}).includes('acme')

/** Every kind of refusal that there is. Whatever else somebody sets is taken, and holds. */
export const refusals: Refusal[] = [
  {
    why: 'metrics tell about everybody, so they are never shown without a key',
    ...{ exit: 2, says: /groups: metrics tells about everybody, so it always needs a key/ },
    example: { groups: ['agents', 'metrics'] },
    when: ({ groups, access = 'tailnet' }) => has(groups, 'metrics') && access === 'tailnet',
  },
  {
    why: 'macOS has no nftables',
    ...{ exit: 3, says: /firewall: on needs nftables, which this system does not have/ },
    example: { firewall: 'on' },
    when: ({ firewall, system }) => firewall === 'on' && system !== 'linux',
  },
  {
    why: 'keepalived, which moves an address between two gateways, is Linux’s',
    ...{ exit: 3, says: /vip needs keepalived, which this system does not have/ },
    example: {
      vip: { address: '192.168.78.100', interface: 'eth0', peer: '192.168.78.3', priority: 150 },
    },
    when: ({ vip, system }) => vip !== undefined && system !== 'linux',
  },
  {
    why: 'an address of a pair that no listener has answers nobody',
    ...{ exit: 3, says: /no listener has 192\.168\.78\.100 \(vip\.address\)/ },
    example: {
      system: 'linux',
      vip: { address: '192.168.78.100', interface: 'eth0', peer: '192.168.78.3', priority: 150 },
    },
    when: ({ vip, listeners, system }) =>
      system === 'linux' && vip !== undefined && !within(listeners, (vip as { address: string }).address),
  },
  {
    why: 'it is the observer that serves the metrics',
    ...{ exit: 2, says: /groups: metrics are served by the observer/ },
    example: { groups: ['agents', 'metrics'], access: 'keys', observer: 'off' },
    when: ({ groups, observer }) => has(groups, 'metrics') && observer === 'off',
  },
  {
    why: 'an admin key may copy and delete every model, so a list of models would mean nothing',
    ...{ exit: 2, says: /a list of models would mean nothing/ },
    example: { 'key.admin': '', 'key.models': 'qwen3*' },
    when: (one) => any(one, 'key.admin') && any(one, 'key.models'),
  },
  {
    ...tooOld(
      'a time in the queue for each request',
      [3, 4],
      (one) => any(one, 'timeouts.queue', 'key.queue') || within(one['timeouts.groups'], 'queue'),
    ),
    example: { 'timeouts.queue': '35m' },
  },
  {
    ...tooOld(
      'a limit of bytes a second',
      [3, 0],
      (one) =>
        any(one, 'limits.per_second', 'key.perSecond') ||
        within(one.people, 'per_second') ||
        within(one['limits.groups'], 'per_second'),
    ),
    example: { 'limits.per_second': '1GB' },
  },
  {
    ...tooOld('more than three counters for a request', [2, 8], (one) =>
      any(one, 'limits.all.', 'limits.groups', 'limits.rows'),
    ),
    example: { 'limits.all.per_minute': 600 },
  },
  {
    why: 'by https nobody can be asked without a certificate, and in clear everybody reads the key',
    ...{ exit: 2, says: /listeners\.(tailnet|lan|public): a certificate is needed here/ },
    example: { listeners: { public: { addresses: ['192.168.78.1'] } } },
    when: ({ listeners, tls }) => Object.keys(tls ?? {}).length === 0 && byHttps(listeners),
  },
  {
    why: 'what is asked under a name counts only where that name has a certificate',
    ...{ exit: 2, says: /listeners\.lan\.certificates\.ai\.example\.net: a name under tls/ },
    example: {
      tls: { 'studio.tail0lab.ts.net': 'tailscale' },
      listeners: {
        lan: {
          ...{ addresses: ['192.168.78.1'], sources: ['192.168.78.0/24'] },
          certificates: { 'ai.example.net': 'optional' },
        },
      },
    },
    when: ({ listeners, tls }) =>
      Object.values((listeners ?? {}) as Listeners).some(
        ({ certificates }) =>
          typeof certificates === 'object' &&
          Object.keys(certificates ?? {}).some((name) => !Object.hasOwn(tls ?? {}, name)),
      ),
  },
  {
    why: 'nobody shakes hands for a name without a certificate',
    ...{ exit: 2, says: /services\.\w+\.name: a certificate is needed/ },
    example: { services: { page: { kind: 'page', name: 'ai.example.net', port: 14443, backend: '127.0.0.1:18080' } } },
    when: (one) =>
      servicesOf(one).some(({ name }) => !Object.keys(one.tls ?? {}).some((pattern) => covers(pattern, name))),
  },
  {
    why: 'a service is reached on listeners that there are',
    ...{ exit: 2, says: /services\.\w+\.listeners: there is no listeners\.lan/ },
    example: {
      tls: { 'ai.example.net': 'own-ca' },
      services: {
        page: { kind: 'page', name: 'ai.example.net', port: 14443, backend: '127.0.0.1:18080', listeners: ['lan'] },
      },
    },
    when: (one) =>
      servicesOf(one).some(({ listeners = [] }) => listeners.includes('lan')) &&
      !Object.hasOwn(one.listeners ?? {}, 'lan'),
  },
  {
    why: 'what programs of the owner ask is no page for the internet',
    ...{ exit: 2, says: /services\.gpu\.listeners: vllm is never on public/ },
    example: {
      tls: { 'ai.example.net': 'own-ca' },
      listeners: { public: { addresses: ['192.168.78.1'], port: 8443 } },
      services: {
        gpu: { kind: 'vllm', name: 'ai.example.net', port: 8000, backend: '127.0.0.1:8001', listeners: ['public'] },
      },
    },
  },
  {
    why: 'an authority proves a name by DNS, or on port 80 of a public address, which is root’s',
    ...{ exit: 3, says: /The authority can ask port 80 for the proof of a name: / },
    example: { tls: { 'ai.example.net': 'acme' } },
    when: ({ tls, 'acme.dns': dns }) => ordered(tls) && dns === undefined,
  },
  {
    why: 'what orders from an authority is a program, and apply installs none',
    ...{ exit: 3, says: /More than settings differs \(lego\.package: / },
    example: { tls: { 'ai.example.net': 'acme' }, 'acme.dns': 'route53' },
    when: ({ tls, 'acme.dns': dns }) => ordered(tls) && dns !== undefined,
  },
  {
    why: 'below 1024 root alone may bind a named address, and the gateway is no root’s',
    ...{ exit: 3, says: /port: \d+ needs root/ },
    example: { listeners: { inside: { addresses: ['192.168.78.1'], from: ['192.168.78.2'], port: 80 } } },
    when: ({ listeners, system }) =>
      system !== 'linux' && Object.values((listeners ?? {}) as Listeners).some(({ port = 1024 }) => port < 1024),
  },
  {
    why: 'what is on no interface cannot be listened on',
    ...{ exit: 3, says: /is not on this machine/ },
    example: { listeners: { inside: { addresses: ['192.168.78.99'], from: ['192.168.78.2'] } } },
    when: ({ listeners, vip }) =>
      ['192.168.78.99', '192.168.78.100', 'fd00:78::100'].some(
        (address) => within(listeners, address) && (vip as { address?: string } | undefined)?.address !== address,
      ),
  },
  {
    why: 'plain http beside the internet would be taken for private',
    ...{ exit: 2, says: /listeners\.inside: plain http is never beside/ },
    example: {
      tls: { 'ai.example.net': 'own-ca' },
      listeners: {
        public: { addresses: ['192.168.78.1'] },
        inside: { addresses: ['fd00:78::1'], from: ['192.168.78.2'] },
      },
    },
  },
  {
    why: 'a node that asks for a key answers nothing without it',
    ...{ exit: 3, says: /the key of the node gpu is not there/i },
    example: { nodes: { gpu: { address: '127.0.0.1', port: 12504, key: 'file:~/nodes/none.key' } } },
  },
  {
    why: 'one engine is one node, since its slots are counted there',
    ...{ exit: 2, says: /nodes\.other: another address or port than gpu/ },
    example: { nodes: { gpu: { address: '127.0.0.1', port: 12504 }, other: { address: '127.0.0.1', port: 12504 } } },
  },
  {
    why: 'at any other address than the tailnet’s others get in',
    ...{ exit: 2, says: /listen: only "tailnet"/, example: { listen: '0.0.0.0' } },
  },
  {
    why: 'two programs cannot listen on one port of 127.0.0.1',
    ...{ exit: 2, says: /peers\.port: another port than engine\.port/, example: { 'peers.port': 11434 } },
  },
  {
    why: 'agents try a wrong key several times',
    ...{ exit: 2, says: /ban_after: a number from 40/, example: { ban_after: 39 } },
  },
  {
    why: 'HAProxy counts times in 31 bits of milliseconds',
    ...{ exit: 2, says: /drain: a time of 596h at most/, example: { drain: '597h' } },
  },
  {
    why: 'HAProxy takes no time for another limit',
    ...{ exit: 2, says: /queue\.wait: longer than 0s/, example: { 'queue.wait': '0s' } },
  },
  {
    why: 'a body without a byte asks nothing',
    ...{ exit: 2, says: /body_limit: from 1KB on/, example: { body_limit: '0MB' } },
  },
]
