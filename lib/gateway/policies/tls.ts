import { ownNames } from '../../site/services.ts'
import { pemName } from '../../site/tls.ts'
import { byName, certificateUse, hasPublic, hasTls } from '../listeners.ts'
import type { Gateway, Listener, Policy } from '../policy.ts'
import { refuse } from '../refusal.ts'
import { everyListener } from '../services.ts'
import { eitherOf } from './since.ts'

/** Who signs client certificates, in the folder of the certificates. */
export const clientAuthority = 'clients.pem'

/** The list with every name under tls. */
const allCertificates = 'certificates.lst'

/** Names of services that are not for the internet: there not even a handshake says that they are. */
export function inward({ settings, services = [] }: Gateway): string[] {
  const outward = services.filter(({ listeners }) => listeners.includes('public')).map(({ name }) => name)
  const names = services.map(({ name }) => name).filter((name) => !outward.includes(name))
  const ours = ownNames(settings)
  return names.filter((name) => !ours.includes(name))
}

/** Whether a listener serves other names than all, or asks under each for something of its own. */
const ownList = (gateway: Gateway, listener: Listener): boolean =>
  byName(listener) || (listener.name === 'public' && inward(gateway).length > 0)

/** The file of the certificates that a listener serves: one for all, but where it has its own. */
export const certificateList = (gateway: Gateway, listener: Listener): string =>
  ownList(gateway, listener) ? `certificates-${listener.name}.lst` : allCertificates

/** Room that a public listener leaves for the others, whose connections count in the same 2000. */
const publicConnections = 1000

/** What a listener's `bind` says of TLS: names by certificate only, HTTP/1.1 only (nobody here asks for more, and what is counted by connection stays true). */
export function tlsWords(listener: Listener, list = allCertificates): string {
  const { name, tls, certificates = 'none' } = listener
  if (!tls) return ''
  const verify =
    byName(listener) || certificates === 'none' ? '' : ` ca-file {{certs}}/${clientAuthority} verify ${certificates}`
  const most = name === 'public' ? ` maxconn ${publicConnections}` : ''
  return ` ssl crt-list {{files}}/${list} strict-sni alpn http/1.1 ssl-min-ver TLSv1.2${verify}${most}`
}

/** The names under tls, wildcards among them, with which somebody can shake hands at a listener. */
export function servedNames(gateway: Gateway, { name }: Pick<Listener, 'name'>): string[] {
  const hidden = name === 'public' ? inward(gateway) : []
  return Object.keys(gateway.settings.tls).filter((one) => !hidden.includes(one))
}

/**
 * The names that a listener serves with their files, and what the handshake under each asks for where that is its own.
 * The files are named as they are called in their folder: no HAProxy takes a path with a blank in such a list, however it is quoted.
 */
function list(gateway: Gateway, listener: Listener): string {
  return servedNames(gateway, listener)
    .map((name) => {
      const use = byName(listener) ? certificateUse(listener, name) : 'none'
      const asked = use === 'none' ? '' : `[ca-file ${clientAuthority} verify ${use}] `
      return `${pemName(name)} ${asked}${name}\n`
    })
    .join('')
}

const lists = (gateway: Gateway): Record<string, string> =>
  Object.fromEntries(
    everyListener(gateway)
      .filter(({ tls }) => tls)
      .map((listener) => [certificateList(gateway, listener), list(gateway, listener)]),
  )

/** A handshake that failed, as the log's readers take a line: HAProxy's own words are no JSON. */
const failed = [
  '"time":"%t"',
  '"address":"%[src]"',
  ...['id', 'who', 'login', 'device', 'agent', 'group', 'method', 'path', 'model'].map((name) => `"${name}":""`),
  '"status":400,"bytes":0,"queueMs":-1,"firstByteMs":-1,"totalMs":0,"end":"PR--","denied":"tls"',
].join(',')

/** From HAProxy 3.0 on a handshake has a time limit of its own. Before, it has that of a silent client, which is shorter then where anybody may come. */
const handshake = (gateway: Gateway): string[] =>
  eitherOf([3, 0], ['timeout client-hs 10s'], hasPublic(gateway) ? ['timeout client 60s'] : [])

/** The name that the Host header says, without its port. */
export const nameRule = ['http-request set-var(txn.asked) req.fhdr(host),field(1,:),lower if { ssl_fc }']

/** https by names: a handshake without one of them ends there, and the Host must be the name that was shaken hands for. */
export function tls(gateway: Gateway): Policy {
  if (!hasTls(gateway)) return { name: 'tls', lines: {} }
  return {
    name: 'tls',
    lines: {
      global: [
        'crt-base {{certs}}',
        'ca-base {{certs}}',
        'ssl-load-extra-files none',
        ...(hasPublic(gateway) ? ['maxsslrate 200'] : []),
      ],
      connection: handshake(gateway),
      prepare: [`error-log-format '{${failed}}'`],
      shape: [
        ...nameRule,
        refuse({
          status: 421,
          message: 'this connection was made for another name than its Host header says; make a new one for each name.',
          when: ['{ ssl_fc } !{ ssl_fc_sni,lower,strcmp(txn.asked) eq 0 }'],
        }),
      ],
    },
    files: lists(gateway),
  }
}
