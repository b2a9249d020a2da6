import type { Gateway, Policy } from '../policy.ts'
import { foreign } from '../vip.ts'
import { relaysFile } from './connections.ts'

/** Where an authority asks for the proof of a name (RFC 8555 §8.3). */
const path = '/.well-known/acme-challenge/'

/** The port of the public addresses that it asks (RFC 8555 §8.3 allows no other one); none where names are proven by DNS. */
export const challengePorts = ({ settings: { acme, listeners, tls } }: Gateway): number[] =>
  acme.dns === undefined && Object.values(tls).includes('acme') && listeners.public ? [80] : []

/** There the authority's questions reach lego, which answers only while it orders; nothing else is answered. */
export function challenge(gateway: Gateway): Policy {
  const { acme, listeners } = gateway.settings
  const binds = challengePorts(gateway).flatMap((port) =>
    (listeners.public?.addresses ?? []).map(
      (address) => `    bind ${address.includes(':') ? `[${address}]` : address}:${port}${foreign(gateway, address)}`,
    ),
  )
  if (binds.length === 0) return { name: 'challenge', lines: {} }
  return {
    name: 'challenge',
    lines: {},
    sections: [
      [
        'frontend challenge',
        ...binds,
        '    maxconn 50',
        '    timeout client 10s',
        '    no log',
        ...(listeners.public?.proxy_protocol
          ? [`    tcp-request connection expect-proxy layer4 if { src -f {{files}}/${relaysFile('public')} }`]
          : []),
        `    http-request silent-drop unless { method GET } { path_beg ${path} }`,
        '    default_backend lego',
      ].join('\n'),
      `backend lego\n    timeout server 10s\n    server client 127.0.0.1:${acme.port}`,
    ],
  }
}
