import { unseen } from '../parts/models.ts'
import type { Result } from '../steps/step.ts'

/** What a difference needs, from the least to the most that anybody notices. */
export const needs = [
  'setting of another program',
  'map edit',
  'certificate',
  'reload',
  'rules of the firewall',
  'restart of Keepalived',
  'job at login',
  'restart of the observer',
  'restart of the proxy',
  'restart of Ollama',
] as const
export type Need = (typeof needs)[number]

const ofStep: Record<string, Need> = {
  'power.restarts': 'setting of another program',
  'haproxy.keys': 'map edit',
  'haproxy.identities': 'map edit',
  'haproxy.nodes': 'map edit',
  'haproxy.services': 'map edit',
  'haproxy.config': 'reload',
  'haproxy.ipv6': 'reload',
  ...Object.fromEntries(
    ['rules', 'job', 'service', 'table'].map((step) => [`firewall.${step}`, 'rules of the firewall' as const]),
  ),
  'vip.certificate': 'reload',
  ...Object.fromEntries(['conf', 'job', 'service'].map((step) => [`vip.${step}`, 'restart of Keepalived' as const])),
  'models.job': 'job at login',
  'models.service': 'job at login',
  'settings.file': 'job at login',
  'haproxy.job': 'restart of the proxy',
  'haproxy.service': 'restart of the proxy',
  'observer.job': 'restart of the observer',
  'observer.service': 'restart of the observer',
  'ollama.job': 'restart of Ollama',
  'ollama.service': 'restart of Ollama',
  'ollama.absent': 'restart of Ollama',
  'models.absent': 'job at login',
}

/** What a planned step needs; undefined when it is more than a change of settings, and so install.ts's to do. */
export function needOf(planned: Result): Need | undefined {
  // A worker that answers another configuration gets the new one by the reload.
  if (planned.id === 'haproxy.service' && planned.saw.includes('another configuration')) return 'reload'
  if (planned.id.startsWith('certificates.')) return 'certificate'
  return ofStep[planned.id]
}

/** The planned steps that are more than a change of settings: whether the gateway finds Ollama, and Ollama the models, is open while they are to be started. */
export function unexplained(planned: Result[]): Result[] {
  const starts = (...services: string[]) => planned.some(({ id }) => services.includes(id))
  const open = ({ id, saw }: Result) =>
    (id === 'haproxy.engine' && starts('haproxy.service', 'ollama.service')) ||
    (saw === unseen && starts('ollama.service'))
  return planned.filter((result) => needOf(result) === undefined && !open(result))
}

/** What each kind means for those who are using the server. */
export const effects: Record<Need, string> = {
  'setting of another program': 'nobody notices',
  'map edit': 'holds at the next request; nothing is reloaded',
  certificate: 'a certificate is fetched for a name; connections that stand keep theirs',
  reload: 'a new worker takes over; running answers go on with the old one',
  'rules of the firewall': 'who begins a connection is judged by the new ones; running answers go on',
  'restart of Keepalived': 'the address may move to the other gateway; answers that run over it are then cut',
  'job at login': 'nobody notices',
  'restart of the observer': 'no request notices; counting goes on where it stopped',
  'restart of the proxy': 'no new connection meanwhile; running answers get their time (drain)',
  'restart of Ollama': 'new requests to a model get 429 meanwhile; running answers get their time (drain)',
}
