import type { Gateway, Policy } from '../policy.ts'
import { refusedAs } from '../proofs/refused.ts'
import { refuse } from '../refusal.ts'

const written = (name: string): string => (name.includes(':') ? `[${name}]` : name)

/** Each name alone and with the port, since a list that looks before the colon only lets tails pass (haproxy-policy.md §11). */
function hostLines(gateway: Gateway): string[] {
  const ports = [...new Set(gateway.listeners.map((listener) => listener.port))]
  return gateway.hosts.flatMap((name) => [written(name), ...ports.map((port) => `${written(name)}:${port}`)])
}

/** Our own names only (DNS rebinding), and no web page that is not on the list: Ollama's own check ends where Origin is removed. */
export function names(gateway: Gateway): Policy {
  const { origins } = gateway.settings
  return {
    name: 'names',
    lines: {
      shape: [
        refuse({
          status: 421,
          message: 'this host name is not served here; the owner can add it to hosts in settings.yaml.',
          when: ['!{ req.fhdr(host) -m str -i -f {{files}}/hosts.lst }'],
        }),
        'http-request set-var(txn.origin) req.fhdr(origin) if { req.fhdr(origin) -m str -f {{files}}/origins.lst }',
        refuse({
          status: 403,
          message:
            'this web page (its Origin) may not call the server; the owner can add it to origins in settings.yaml.',
          when: ['{ req.fhdr(origin) -m found } !{ var(txn.origin) -m found }', '{ req.fhdr_cnt(origin) gt 1 }'],
        }),
      ],
      answer: [
        [
          'http-request return status 204',
          'hdr access-control-allow-methods "GET, HEAD, POST"',
          'hdr access-control-allow-headers %[req.fhdr(access-control-request-headers)]',
          'hdr access-control-max-age 600',
          'if { method OPTIONS } { var(txn.origin) -m found }',
        ].join(' '),
      ],
      afterResponse: [
        'http-after-response set-header access-control-allow-origin %[var(txn.origin)] if { var(txn.origin) -m found }',
        'http-after-response add-header vary Origin if { var(txn.origin) -m found }',
      ],
    },
    files: { 'hosts.lst': `${hostLines(gateway).join('\n')}\n`, 'origins.lst': `${origins.join('\n')}\n` },
    proof: (target) => [
      refusedAs(target, {
        id: 'refused.host',
        title: 'A foreign Host is refused (DNS rebinding)',
        status: 421,
        headers: { host: 'rebinding.example' },
      }),
      refusedAs(target, {
        id: 'refused.origin',
        title: 'A web page that is not on the list is refused',
        status: 403,
        headers: { origin: 'https://somewhere.example' },
      }),
    ],
  }
}
