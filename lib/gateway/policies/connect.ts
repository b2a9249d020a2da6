import { record } from '../../people/records.ts'
import { places } from '../../platform/here.ts'
import { asksKeys, asksNobody, openGroups } from '../../site/settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { connectPage } from '../proofs/page.ts'
import { refuse } from '../refusal.ts'
import { keylessGroups } from './keys.ts'

const off = refuse({
  status: 503,
  message:
    'this page is made by the observer of this server, and the owner has switched that off (observer in settings.yaml).',
  when: ['page'],
  plain: true,
})

const text = (name: string, fetch: string): string => `"${name}":"%[${fetch},json(utf8s)]"`

/** What the gateway knows of whoever opens the page, and of its own rules; the headers that a client sent are gone by then. */
const visitor = ({ settings, listeners }: Gateway): string => {
  const asked = settings.access === 'tailnet' ? 'keys' : settings.access
  const mixed = asksKeys(settings) && asksNobody(settings)
  return [
    text('host', 'var(txn.host)'),
    `"address":"${listeners[0]?.addresses[0] ?? ''}"`,
    text('peer', 'var(txn.peer)'),
    text('who', 'var(txn.who)'),
    text('groups', record.groups),
    text('models', record.models),
    text('offered', 'var(txn.offered)'),
    `"access":"${mixed ? `%[var(txn.unasked,0),bool,iif(tailnet,${asked})]` : settings.access}"`,
    ...(listeners.some(({ tls }) => tls) ? ['"https":"%[ssl_fc]"'] : []),
    ...(listeners.some(({ groups }) => groups) ? [text('here', 'var(txn.bits)')] : []),
    `"open":"${openGroups(settings).join()}"`,
    `"keyless":"${keylessGroups(settings).join()}"`,
  ].join(',')
}

const silent = 'this page is made by the observer of this server, which does not answer now; try again shortly.'
const said = `content-type text/plain hdr retry-after 5 hdr x-denied-by connect string 'Gateway: ${silent}'`

/** The observer, which makes the page for whoever asks. */
const backend = (gateway: Gateway): string =>
  [
    'backend connect',
    'no log',
    'retries 0',
    'timeout server 15s',
    `http-request set-header x-visitor '{${visitor(gateway)}}'`,
    `http-response deny status 503 ${said} if !{ status 200 }`,
    ...[502, 503, 504].map((status) => `http-error status ${status} ${said}`),
    'http-after-response set-status 503 if { status 502 504 }',
    `server observer "unix@${places(gateway).listsSocket}"`,
  ].join('\n    ')

/** A page that tells a person how to connect: who they are here, which models are theirs, what to paste where. */
export function connect(gateway: Gateway): Policy {
  if (!openGroups(gateway.settings).includes('connect')) return { name: 'connect', lines: {} }
  const classify = ['acl page var(txn.backend) -m str connect']
  if (gateway.settings.observer === 'off') return { name: 'connect', lines: { classify, allow: [off] } }
  return {
    name: 'connect',
    lines: {
      classify,
      limit: [
        ...(asksKeys(gateway.settings) && asksNobody(gateway.settings)
          ? ['http-request set-var(txn.unasked) bool(true) if page unasked']
          : []),
        'http-request set-var(txn.host) req.fhdr(host) if page',
        'http-request set-var(txn.peer) src,map_ip({{keys}}/devices.map) if page',
      ],
      rewrite: ['use_backend connect if page'],
    },
    sections: [backend(gateway)],
    proof: connectPage,
  }
}
