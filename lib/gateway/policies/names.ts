import { isIP } from 'node:net'
import { ownNames } from '../../site/services.ts'
import { nodeHosts } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { refusedAs } from '../proofs/refused.ts'
import { refuse } from '../refusal.ts'

const written = (name: string): string => (isIP(name) === 6 ? `[${name}]` : name)

/** Each name alone and with the port, since a list that looks before the colon only lets tails pass (haproxy-policy.md §11); one with a port of its own, as behind `ssh -L`, as it is. */
function hostLines(gateway: Gateway): string[] {
  const ports = [...new Set(gateway.listeners.map((listener) => listener.port))]
  const certified = ownNames(gateway.settings)
  const own = gateway.listeners.slice(1).flatMap(({ tls, addresses }) => (tls ? [] : addresses))
  return [...new Set([...gateway.hosts, ...nodeHosts(gateway), ...own, ...certified])]
    .map(written)
    .flatMap((name) => (/[^:]:\d+$/.test(name) ? [name] : [name, ...ports.map((port) => `${name}:${port}`)]))
}

const usual: Record<string, string> = { 'http:': ':80', 'https:': ':443' }

/** An origin with and without the port that its scheme has anyway: browsers leave it out, whatever the owner wrote. */
function originLines(origins: string[]): string[] {
  const both = origins.flatMap((origin) => {
    const port = usual[origin.replace(/\/.*/, '').toLowerCase()]
    if (!port) return [origin]
    return origin.endsWith(port)
      ? [origin, origin.slice(0, -port.length)]
      : [origin, /:\d+$/.test(origin) ? origin : `${origin}${port}`]
  })
  return [...new Set(both)]
}

/** A header's value in a JSON text, as far as a line holds it; nothing of it is looked at in a request that passes. */
const told = (name: string): string => `%[req.fhdr(${name}),bytes(0,255),json(utf8s)]`

/** Any page can send `Origin: null` from a frame of its own, so that is never let in. */
const pages = `%[req.fhdr(origin),map_str_int({{files}}/pages.map,0),bool,iif(one without an address cannot be let in so serve it by http and add that address to origins in settings.yaml,the owner adds it to origins in settings.yaml and runs rop apply)]`

/** Our own names only (DNS rebinding), and no web page that is not on the list: Ollama's own check ends where Origin is removed. */
export function names(gateway: Gateway): Policy {
  const { origins } = gateway.settings
  return {
    name: 'names',
    lines: {
      shape: [
        refuse({
          status: 421,
          message: `this host name (${told('host')}) is not served here; the owner adds it to hosts in settings.yaml and runs rop apply, which is enough by itself where the machine was renamed.`,
          when: ['!{ req.fhdr(host) -m str -i -f {{files}}/hosts.lst }'],
        }),
        'http-request set-var(txn.origin) req.fhdr(origin) if { req.fhdr(origin) -m str -i -f {{files}}/origins.lst }',
        refuse({
          status: 403,
          message: `this web page (Origin: ${told('origin')}) may not call the server; ${pages}.`,
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
    files: {
      'pages.map': 'null 1\n',
      'hosts.lst': `${hostLines(gateway).join('\n')}\n`,
      'origins.lst': `${originLines(origins).join('\n')}\n`,
    },
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
