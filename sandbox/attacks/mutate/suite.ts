import { hostile } from '../../../lib/checks/hostile/table.ts'
import type { Configuration } from '../../../lib/site/configuration.ts'
import { type GatewayOptions, startGateway } from '../../lab/gateway.ts'
import { attack, unexpected } from '../../lab/judge.ts'
import type { Answer, Recorder } from '../../lab/recorder.ts'
import { byQuery, type Patient } from './asking.ts'
import { keyed, registry, withLists } from './keyed.ts'
import { limited } from './limited.ts'
import { certificates, listened, registry as listenedRegistry, listening, narrowed } from './listened.ts'
import { mixed, certificates as mixedCertificates, registry as mixedRegistry, mixing } from './mixed.ts'
import type { Mutant } from './mutants.ts'
import { named, registry as namedRegistry, people } from './named.ts'
import { type Expectation, origin, ownHost, quick } from './quick.ts'
import { alone, relayed, relaying } from './relayed.ts'
import { last, slow } from './slow.ts'

/** Waits are shortened and this machine made smaller, so that every rule can show itself within a second or so. */
export function alter(text: string): string {
  return text
    .replace('timeout http-request 30s', 'timeout http-request 400ms')
    .replaceAll('wait-for-body time 60s', 'wait-for-body time 400ms')
    .replace('timeout http-keep-alive 120s', 'timeout http-keep-alive 1s')
    .replace('timeout connect 2s', 'timeout connect 100ms')
    .replace('timeout client 35m', 'timeout client 1200ms')
    .replace('timeout server 35m', 'timeout server 700ms')
    .replace('src 127.0.0.0/8 ::1', 'src 127.0.0.0/24 ::1')
}

/** A gateway to take things away from, and who is to notice. */
export interface Variant {
  /** who gets in */
  title: string
  /** whether this one is tried with it, and not with the other */
  tries(mutant: Mutant): boolean
  options: Omit<GatewayOptions, 'enginePort'>
  answer: Answer
  examine(patient: Patient): Promise<string | undefined>
}

const common = `groups: [agents, native]\nhosts: [${ownHost}]\norigins: ['${origin}']\ninference: { slots: 8 }\nobserver: off`

/** What is there only where the tailnet is asked, or where nobody but an admin gets. */
const ofNames = ({ policy, gone }: Mutant): boolean =>
  policy === 'manage' || (policy === 'keys' && /\bnamed\b|people\.map/.test(gone))

/** What is there only where the gateway listens on more than the tailnet. */
const ofListeners = (mutant: Mutant): boolean =>
  /^(listeners|tls|challenge)$/.test(mutant.policy) ||
  ofCertificates(mutant) ||
  (mutant.policy === 'connections' && /so_name|outside|known_to_|sources-/.test(mutant.gone))

/** Of the rules for keys those that are there for certificates and for the internet. */
const ofCertificates = ({ policy, gone }: Mutant): boolean =>
  policy === 'keys' &&
  ((/txn\.certif|\boutside\b/.test(gone) && !/^\S+ !?unasked of/.test(gone)) || /^\S+ unasked of .*rop_ \}$/.test(gone))

/** And those that tell listeners apart; what is the same but for that is tried where every listener asks for a key. */
const ofMixture = ({ policy, gone }: Mutant): boolean =>
  policy === 'keys' && /^\S+ !?(unasked|strict) of|txn\.(spared|known)\b/.test(gone) && !/rop_ \}$/.test(gone)

/** What is there only where somebody connects for others. */
const ofRelays = ({ policy, gone }: Mutant): boolean =>
  policy === 'connections' && /relay|expect-proxy|tcp-request session/.test(gone)

const ofKeys = ({ policy, gone }: Mutant): boolean =>
  /^(keys|revoked|limits|bandwidth|models|timeouts|running|asked|loading)$/.test(policy) ||
  /^authentication_/.test(gone)

/** One whom the tailnet alone protects, one that asks for keys, one that asks either, and two that listen on more. */
export const variants: Variant[] = [
  {
    title: 'the tailnet alone',
    tries: (mutant) => !ofKeys(mutant) && !ofNames(mutant),
    options: { settings: `${common}\nqueue: { wait: 400ms, max: 2 }`, alter },
    answer: byQuery,
    examine: examineOpen,
  },
  {
    title: 'keys',
    tries: (mutant) => ofKeys(mutant) && !ofNames(mutant),
    options: {
      settings: `${common}\naccess: keys\nkeyless: [metadata, count-tokens]\ntimeouts: { groups: { anthropic: { whole: 300s }, native: { first_byte: 5s, silence: 2s, whole: 30s } } }`,
      alter,
      registry,
    },
    answer: withLists,
    examine: (patient) => first(patient, [...keyed, ...limited]),
  },
  {
    title: 'keys or people of the tailnet',
    tries: ofNames,
    options: {
      settings: `${common}\naccess: either\nkeyless: [metadata]\nlog: requests\n${people}`,
      ...{ alter, registry: namedRegistry },
    },
    answer: byQuery,
    examine: (patient) => first(patient, named),
  },
  {
    title: 'listeners beyond the tailnet',
    tries: ofListeners,
    options: {
      settings: `${common}\nlog: requests\n${listening}`,
      alter: (text) =>
        alter(text)
          .replace('timeout client-hs 10s', 'timeout client-hs 1s')
          .replace(/timeout client (60|10)s/g, 'timeout client 1s'),
      ...{ registry: listenedRegistry, certificates, change: narrowed },
    },
    answer: byQuery,
    examine: (patient) => first(patient, listened),
  },
  {
    title: 'a relay in front of it',
    tries: ofRelays,
    options: {
      settings: `${common}\nlog: requests\n${relaying}`,
      ...{ registry: listenedRegistry, certificates, change: alone },
    },
    answer: byQuery,
    examine: (patient) => first(patient, relayed),
  },
  {
    title: 'listeners that ask for keys beside a tailnet that does not',
    tries: ofMixture,
    options: {
      settings: `${common}\nlog: requests\n${mixed}`,
      alter,
      registry: mixedRegistry,
      certificates: mixedCertificates,
    },
    answer: byQuery,
    examine: (patient) => first(patient, mixing),
  },
]

const why = (error: unknown): string => (error instanceof Error ? error.message : `${error}`)

async function first(patient: Patient, expectations: Expectation[]): Promise<string | undefined> {
  for (const [name, check] of expectations) {
    const complaint = await check(patient).then(() => undefined, why)
    if (complaint !== undefined) return `${name}: ${complaint}`
  }
  return undefined
}

async function together(patient: Patient, expectations: Expectation[]): Promise<string | undefined> {
  const complaints = await Promise.all(expectations.map((one) => first(patient, [one])))
  return complaints.find(Boolean)
}

/** The table, one request after the other, since what arrives is told by its order. */
async function attacks({ gateway, engine }: Patient): Promise<string | undefined> {
  for (const request of hostile) {
    const complaint = await attack(gateway, engine, request).then(
      (outcome) => unexpected(request, outcome, gateway),
      why,
    )
    if (complaint) return `hostile request "${request.name}": ${complaint}`
  }
  return undefined
}

async function examineOpen(patient: Patient): Promise<string | undefined> {
  return (
    (await attacks(patient)) ??
    (await first(patient, quick)) ??
    (await together(patient, slow)) ??
    (await first(patient, last))
  )
}

/** What notices that something is gone; undefined when nobody does. A gateway that does not start was noticed by HAProxy. */
export async function noticed(engine: Recorder, variant: Variant, mutant?: Mutant): Promise<string | undefined> {
  engine.answer = variant.answer
  const change = (made: Configuration) => {
    const usual = variant.options.change?.(made) ?? made
    return mutant?.apply(usual) ?? usual
  }
  const wanted = { ...variant.options, enginePort: engine.port, change, withinMs: 3_000 }
  const started = await startGateway(wanted).catch(why)
  if (typeof started === 'string') return `does not start: ${started}`
  engine.received.length = 0
  try {
    return await variant.examine({ gateway: started, engine })
  } finally {
    await started.stop()
  }
}
