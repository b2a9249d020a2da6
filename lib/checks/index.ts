import { policies } from '../gateway/policies/index.ts'
import type { Gateway } from '../gateway/policy.ts'
import { json, type ModelFacts, type Target } from '../gateway/proofs/target.ts'
import type { Look } from '../host/host.ts'
import { askAll } from '../nodes/store.ts'
import { anomalies } from '../observer/anomalies.ts'
import { partsOf } from '../parts/index.ts'
import { engineAddress } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import { embeds, running, sameModel, tags } from '../site/models.ts'
import { nodesOf, spreads } from '../site/nodes.ts'
import { openGroups } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { type Check, restingOn } from '../steps/step.ts'
import { anthropic } from './anthropic.ts'
import { files, isolation } from './isolation.ts'
import { native } from './native.ts'
import { openai } from './openai.ts'
import { performance } from './performance.ts'
import { streaming } from './streaming.ts'

type Engine = Target['engine']

/** The checks of the parts: what status.ts shows, each with its remedy. */
export const partChecks = (machine: Machine, setup: Setup): Check[] => [
  ...partsOf(machine, setup).flatMap((part) => [
    ...part.steps(machine, setup),
    ...(part.checks?.(machine, setup) ?? []),
  ]),
  ...isolation(machine, setup),
  ...files(machine, setup),
  ...(setup.mode === 'proxy' ? anomalies(setup.settings) : []),
]

/** What no step implies: the proof of every policy, and the answers of models through the gateway. */
export function probes(target: Target, gateway: Gateway): Check[] {
  const proofs = policies(gateway).flatMap((policy) => policy.proof?.(target) ?? [])
  const all = [
    ...proofs.filter(({ inference }) => !inference),
    ...restingOn(
      ['ollama.service'],
      [
        ...openai(target),
        ...anthropic(target),
        ...native(target),
        ...streaming(target),
        ...proofs.filter(({ inference }) => inference),
        ...performance(target),
      ],
    ),
  ]
  return spreads(gateway.settings) ? all.map(onNodes) : all
}

/** What rests on the engine of this machine rests on some node, where there are several. */
const onNodes = (check: Check): Check => ({
  ...check,
  needs: check.needs?.map((id) => (id === 'ollama.service' ? 'haproxy.engine' : id)),
})

/** The gateway of this machine with the model to ask: the one named, else the first of the candidates that chats. */
export async function findTarget(look: Look, machine: Machine, setup: Setup, wanted?: string): Promise<Target> {
  const engine = { address: engineAddress(machine, setup), port: setup.settings.engine.port }
  const address = setup.mode === 'proxy' ? (machine.tailscale.ipv4 ?? '127.0.0.1') : engine.address
  const port = setup.mode === 'proxy' ? setup.settings.port : engine.port
  const nodes = setup.mode === 'proxy' && spreads(setup.settings)
  const model = nodes
    ? await modelOfNodes(look, setup, wanted)
    : await firstThatChats(look, engine, await candidates(look, engine, setup.settings.models, wanted))
  const engineless = nodes && setup.settings.role === 'gateway'
  if (engineless) Object.assign(engine, { address, port })
  // Ollama itself holds none back.
  const bodyLimit = setup.mode === 'proxy' ? setup.settings.body_limit : undefined
  return {
    address,
    port,
    host: `${address}:${port}`,
    engine,
    groups: openGroups(setup.settings),
    bodyLimit,
    model,
    ...(engineless ? { engineless } : {}),
    ...(nodes ? { several: nodes } : {}),
  }
}

/** What nodes say of the model to ask: the one that is named, else one that is loaded, else any. */
async function modelOfNodes(look: Look, { settings }: Setup, wanted?: string): Promise<ModelFacts | undefined> {
  const all = [...(await askAll(look, nodesOf(settings))).values()].flatMap((said) =>
    'models' in said ? said.models : [],
  )
  const named = wanted === undefined ? all : all.filter(({ name }) => sameModel(name, wanted))
  const first = named.find(({ name, loaded }) => loaded && !embeds(name)) ?? named.find(({ name }) => !embeds(name))
  return (first ?? named[0]) && { name: (first ?? named[0])?.name ?? '', capabilities: [] }
}

/** Installed models: those in memory, then those of the settings, then the rest from the smallest on; or the one named. */
async function candidates(look: Look, engine: Engine, settled: string[], wanted?: string): Promise<string[]> {
  const all = (await tags(look, engine.address, engine.port)) ?? []
  const installed = (names: string[]) =>
    names.flatMap((name) => all.find((tag) => sameModel(tag.name, name))?.name ?? [])
  if (wanted !== undefined) return installed([wanted])
  const loaded = (await running(look, engine.address, engine.port)) ?? []
  const bySize = [...all].sort((one, other) => one.size - other.size)
  return [
    ...new Set([
      ...installed(loaded.map(({ name }) => name)),
      ...installed(settled),
      ...bySize.map(({ name }) => name),
    ]),
  ]
}

/** A model for embeddings proves nothing of a chat, so it is asked only where there is no other. */
async function firstThatChats(look: Look, engine: Engine, names: string[]): Promise<ModelFacts | undefined> {
  let first: ModelFacts | undefined
  for (const name of names) {
    const model = await facts(look, engine, name)
    first ??= model
    if (model.capabilities.length === 0 || model.capabilities.includes('completion')) return model
  }
  return first
}

async function facts(look: Look, engine: Engine, name: string): Promise<ModelFacts> {
  const answer = await look.probe({
    ...engine,
    method: 'POST',
    target: '/api/show',
    headers: { host: `${engine.address}:${engine.port}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: name }),
  })
  const { capabilities = [] } = (json(answer) ?? {}) as { capabilities?: string[] }
  return { name, capabilities }
}
