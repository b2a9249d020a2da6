import type { Limits } from './limits.ts'

/** Values by the path of what they are for. */
export type Examples = Readonly<Record<string, readonly unknown[]>>

const own = ['192.168.78.1']
const lan = (more: object): object => ({ addresses: own, sources: ['192.168.78.0/24'], ...more })

/** Values that an owner may give each setting beside leaving it out, by the setting's path; the ends of a range where it has some. */
export const settingExamples: Examples = {
  listen: ['tailnet'],
  port: [11434, 8080],
  listeners: [
    { tailnet: { tls_port: 11443 }, lan: lan({ sources: ['192.168.78.0/24'], groups: ['openai'] }) },
    {
      tailnet: { tls_port: 21443 },
      lan: lan({
        sources: ['192.168.0.0/16', 'fd00::/64'],
        certificates: 'optional',
        proxy_protocol: { from: ['192.168.78.8'] },
      }),
    },
    { lan: lan({ port: 11444, proxy_protocol: { from: ['192.168.78.7', 'fd00:78::7'] } }) },
    { lan: lan({ port: 12443, certificates: 'required', access: 'keys', plain: false }) },
    { lan: lan({ port: 13443, certificates: { 'ai.example.net': 'required' } }) },
    { lan: lan({ port: 14443, certificates: { 'ai.example.net': 'optional' } }) },
    { lan: lan({ addresses: [...own, 'fd00:78::1'], port: 8080, plain: true, groups: ['agents', 'rag'] }) },
    { inside: { addresses: own, port: 12000, from: ['192.168.78.2'], access: 'from', groups: ['openai', 'native'] } },
    { inside: { addresses: ['fd00:78::1'], port: 12001, from: ['10.9.8.0/24'], access: 'keys', groups: ['agents'] } },
    {
      public: {
        addresses: own,
        port: 443,
        access: 'keys',
        certificates: 'none',
        groups: ['openai'],
        proxy_protocol: { from: ['10.9.8.7'] },
      },
    },
    {
      public: {
        addresses: ['fd00:78::1'],
        port: 8443,
        certificates: 'optional',
        groups: ['agents'],
        proxy_protocol: { from: ['fd00:78::7', '10.9.8.7'] },
      },
    },
  ],
  tls: [
    { 'ai.example.net': 'own-ca' },
    { 'ai.example.net': 'own-ca', '*.example.net': { chain: '~/tls/chain.pem', key: '~/tls/key.pem' } },
    { 'studio.tail0lab.ts.net': 'tailscale' },
    { 'ai.example.net': 'acme', '*.example.org': { chain: '/etc/tls/chain.pem', key: '/etc/tls/key.pem' } },
  ],
  'acme.email': ['ann@example.net', 'bob@example.org'],
  'acme.dns': ['route53', 'exec'],
  'acme.credentials': ['~/.config/remote-ollama-proxy/acme.env', '/etc/acme.env'],
  'acme.directory': ['https://acme-staging-v02.api.letsencrypt.org/directory', 'https://127.0.0.1:14000/dir'],
  'acme.staging': ['off', 'https://acme-staging-v02.api.letsencrypt.org/directory'],
  'acme.ca': ['~/tls/root.pem', '/etc/ssl/own.pem'],
  'acme.resolvers': [['9.9.9.9'], ['127.0.0.1:8053', '[2620:fe::fe]:53']],
  'acme.check_dns': [true, false],
  'acme.port': [11437, 21437],
  'engine.port': [11434, 12434],
  'peers.port': [11436, 21436],
  groups: [
    ['agents'],
    ['ollama-cli'],
    ['rag'],
    ['openai', 'probe'],
    ['metadata'],
    ['native', 'embeddings', 'audio'],
    ['agents', 'metrics'],
    ['agents', 'completions', 'status', 'launch'],
  ],
  access: ['tailnet', 'keys', 'either'],
  people: [
    {},
    {
      'ann@example.com': {
        groups: ['agents', 'native'],
        models: ['qwen3*'],
        per_minute: 60,
        concurrent: 4,
        per_day: '2h',
      },
      'tag:ci': { burst: 20, waiting: 4, concurrent: 1 },
    },
    {
      'tag:ci': { burst: 5, waiting: 2, per_minute: 600, per_day: '30m,200MB', models: ['nothing*'] },
      'device:laptop': { groups: ['openai', 'metadata'] },
    },
    { 'ann@example.com': { per_second: '200KB' }, 'device:kitchen-tablet': { per_second: '1MB' } },
    { 'bob@example.com': {} },
  ],
  keyless: [[], ['metadata', 'probe'], ['agents']],
  ban_after: [40, 1000],
  'limits.per_minute': [1, 600],
  'limits.burst': [1, 100],
  'limits.concurrent': [1, 100],
  'limits.waiting': [1, 100],
  'limits.per_day': ['1s', '2h,200MB'],
  'limits.per_second': ['1KB', '1GB'],
  'limits.all.per_minute': [1, 600],
  'limits.all.burst': [1, 100],
  'limits.all.concurrent': [1, 100],
  'limits.groups': [
    { openai: { per_minute: 60, burst: 20, concurrent: 8, per_second: '1MB' } },
    { anthropic: { burst: 1, per_minute: 1 }, native: { concurrent: 1, per_second: '200KB' } },
  ],
  'limits.rows': [
    { 'POST /v1/messages': { burst: 1, concurrent: 1 }, 'POST /v1/embeddings': { per_minute: 1 } },
    { 'POST /v1/chat/completions': { per_minute: 600, burst: 50, concurrent: 8 } },
  ],
  'timeouts.first_byte': ['30s', '35m'],
  'timeouts.silence': ['30s', '35m'],
  'timeouts.whole': ['60s', '24h'],
  'timeouts.queue': ['1s', '35m'],
  'timeouts.groups': [
    { openai: { first_byte: '5m', silence: '60s' }, embeddings: { whole: '30s' } },
    { anthropic: { whole: '30m', first_byte: '30s', silence: '10m' } },
    { openai: { queue: '20s' }, native: { queue: '60s' } },
  ],
  hosts: [[], ['ai.example.net']],
  origins: [[], ['https://chat.example.net']],
  role: ['server', 'gateway'],
  nodes: [
    {
      second: { address: '127.0.0.1', port: 12500, engine: 'ollama', slots: 2, speed: 2, models: ['qwen3:0.6b'] },
      asleep: { address: '127.0.0.1', port: 12501, engine: 'vllm', slots: 16, key: 'file:~/nodes/asleep.key' },
    },
    {
      second: { address: 'localhost', port: 12500, mac: 'a4:83:e7:01:02:03', models: [] },
      asleep: { address: '127.0.0.1', port: 12502, tls: '~/nodes/root.pem', mac: 'a4:83:e7:01:02:04', speed: 0.5 },
      other: { address: '127.0.0.1', port: 12503, tls: '~/nodes/other.pem', key: 'file:~/nodes/other.key' },
    },
  ],
  // What answers at 18080 in the box is a page and an API.
  services: [
    { page: { kind: 'page', name: 'ai.example.net', port: 14443, backend: '127.0.0.1:18080', listeners: ['tailnet'] } },
    {
      page: { kind: 'oauth2-proxy', name: 'ui.example.net', port: 15443, backend: '127.0.0.1:18080' },
      other: {
        kind: 'page',
        name: 'ai.example.net',
        port: 15443,
        backend: 'localhost:18080',
        listeners: ['tailnet', 'lan'],
      },
      openai: {
        ...{ kind: 'litellm', name: 'api.example.net', port: 16443, backend: '127.0.0.1:18080' },
        ...{ key: 'file:~/nodes/asleep.key', sign_in: 'page' },
      },
      vectors: {
        ...{ kind: 'qdrant', name: 'ai.example.net', port: 6333, backend: '127.0.0.1:18080' },
        ...{ key: 'file:~/nodes/other.key', sign_in: 'other' },
      },
    },
  ],
  spread: ['when_full', 'never'],
  affinity: ['on', 'off'],
  models: [['qwen3:0.6b'], ['qwen3:0.6b', 'tiny-loop']],
  // Both are the folder where the models of the box are.
  models_folder: ['~/.ollama/models', '~/.ollama/models/'],
  'inference.slots': [1, 64],
  'inference.parallel': [1, 4],
  'queue.wait': ['1s', '596h'],
  'queue.max': [0, 10_000],
  keep_alive: ['0s', '596h'],
  context: ['auto', 2048],
  body_limit: ['1KB', '32MB', '99GB'],
  chunked_body: ['16KB', '4MB'],
  judged_body: ['128KB', '4MB'],
  log: ['off', 'errors', 'requests'],
  observer: ['on', 'off'],
  firewall: ['on', 'off'],
  vip: [
    {
      address: '192.168.78.100',
      interface: 'eth0',
      router_id: 51,
      peer: '192.168.78.3',
      priority: 150,
      peers_port: 11438,
      at_once: 'half',
    },
    {
      address: 'fd00:78::100',
      interface: 'bond0.7',
      router_id: 52,
      peer: 'fd00:78::3',
      priority: 140,
      peers_port: 21438,
      at_once: 'whole',
    },
  ],
  'metrics.port': [9411, 19411],
  'alerts.notification': [true, false],
  'alerts.webhook': ['http://127.0.0.1:9999/hook', 'http://127.0.0.1:9999/other?a=b'],
  drain: ['0s', '596h'],
}

/** The same for each limit of a key, as keys.ts takes it. */
export const limitExamples: Record<keyof Limits, string[]> = {
  groups: ['agents', 'openai,native,metrics'],
  models: ['qwen3*', 'qwen3:0.6b,tiny-loop'],
  admin: [''],
  perMinute: ['1', '9999'],
  burst: ['1', '100'],
  concurrent: ['1', '100'],
  waiting: ['1', '100'],
  perDay: ['1s', '2h,200MB', '1MB'],
  firstByte: ['1s', '35m'],
  silence: ['1s', '35m'],
  whole: ['1s', '24h'],
  queue: ['1s', '35m'],
  perSecond: ['1KB', '1GB'],
  expires: ['1h', '90d'],
  note: ['x', 'her “laptop”, the red one; 50% #1'],
}
