import type { Kind } from '../../../site/service-kinds.ts'

/** By which programs are told who asks, or for whom: what comes from outside is made up. The beginnings of names. */
export const spoofable = [
  'x-forwarded-',
  'x-auth-',
  'x-authentik-',
  'x-webauth-',
  'x-original-',
  'x-real-ip',
  'x-remote-',
  'remote-',
  'forwarded',
  'tailscale-user-',
]

/** None of them reaches a service, nor a name with an underscore, which many programs read as one with a hyphen. */
export const foreignHeaders = [
  ...spoofable.map((name) => `http-request del-header ${name} -m beg`),
  'http-request del-header _ -m sub',
]

/** What a service may believe. */
export const forwarded = [
  'http-request set-header x-forwarded-for %[src]',
  'http-request set-header x-forwarded-proto https',
  'http-request set-header x-forwarded-host %[req.fhdr(host)]',
]

/** What its answers say of it to nobody's use. */
export const dropped = ({ drop }: Kind): string[] => drop.map((name) => `http-response del-header ${name} -m beg`)
