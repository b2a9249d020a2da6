import type { System } from '../host/host.ts'
import type { CertificateUse } from '../site/listeners.ts'
import type { Service } from '../site/services.ts'
import type { Settings } from '../site/settings.ts'
import type { Check } from '../steps/step.ts'
import type { Target } from './proofs/target.ts'

/** Where a policy's lines go. HAProxy reads rules top down, so this order is the order of decisions. */
export const frontendSlots = [
  'connection',
  'prepare',
  'shape',
  'identify',
  'answer',
  'classify',
  'authenticate',
  'allow',
  'limit',
  'inspect',
  'rewrite',
  'response',
  'afterResponse',
] as const
export const otherSlots = ['global', 'defaults', 'inference', 'metadata'] as const
export type Slot = (typeof frontendSlots)[number] | (typeof otherSlots)[number]

/** Addresses that are listened on, and the networks whose connections are taken. */
export interface Listener {
  name: string
  addresses: string[]
  port: number
  /** networks in CIDR form; this machine itself is always among them; none is everybody */
  sources: string[]
  /** https, with the certificates of the settings */
  tls?: boolean
  /** what is asked of whoever connects: nothing more (`from`), a key, or either a key or a rule of `people` */
  access?: 'from' | 'keys' | 'either'
  /** groups by name that are open here; absent: all that the settings open */
  groups?: string[]
  /** whether a client certificate is asked for: one word for all names, or one a name */
  certificates?: CertificateUse | Record<string, CertificateUse>
  /** addresses of machines that connect for others and say so in a PROXY header */
  relays?: string[]
}

/** Everything the configuration is made from. */
export interface Gateway {
  settings: Settings
  /** that of the tailnet first; one frontend has them all */
  listeners: Listener[]
  /** names and addresses under which clients reach this machine, without port */
  hosts: string[]
  /** what is behind the gateway beside engines */
  services?: Service[]
  /** some key or rule has a list of models */
  listed?: boolean
  /** of one of two gateways: its own address on the network that both are in, from which it speaks to the other */
  own?: string
  /** bytes a second that keys are limited to, each number once */
  speeds?: number[]
  home: string
  system: System
}

/** One concern of the gateway: its lines, its files, and the proof that test.ts runs. */
export interface Policy {
  name: string
  lines: Partial<Record<Slot, string[]>>
  /** whole sections (stick tables, peers) */
  sections?: string[]
  /** files beside the configuration, named in lines as `{{files}}/NAME` */
  files?: Record<string, string>
  /** what test.ts asks the live gateway to see that the lines do their work */
  proof?(target: Target): Check[]
}
