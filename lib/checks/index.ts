import type { Look } from '../host.ts'
import type { Machine } from '../machine.ts'
import { running, sameModel, tags } from '../models.ts'
import { engineAddress } from '../parts/engine.ts'
import { partsOf } from '../parts/index.ts'
import type { Setup } from '../parts/part.ts'
import { policies } from '../proxy/policies/index.ts'
import type { Gateway } from '../proxy/policy.ts'
import { openGroups } from '../settings.ts'
import type { Check } from '../step.ts'
import { anthropic } from './anthropic.ts'
import { files, isolation } from './isolation.ts'
import { native } from './native.ts'
import { openai } from './openai.ts'
import { performance } from './performance.ts'
import { streaming } from './streaming.ts'
import { json, type ModelFacts, type Target } from './target.ts'

/** The checks of the parts: what status.ts shows, each with its remedy. */
export const partChecks = (machine: Machine, setup: Setup): Check[] => [
  ...partsOf(setup.mode).flatMap((part) => [...part.steps(machine, setup), ...(part.checks?.(machine, setup) ?? [])]),
  ...isolation(machine, setup),
  ...files(machine, setup),
]

/** What no step implies: the proof of every policy, and the answers of models through the gateway. */
export function probes(target: Target, gateway: Gateway): Check[] {
  return [
    ...policies(gateway).flatMap((policy) => policy.proof?.(target) ?? []),
    ...openai(target),
    ...anthropic(target),
    ...native(target),
    ...streaming(target),
    ...performance(target),
  ]
}

/** The gateway of this machine with the model to ask: the one named, else one in memory, else the smallest. */
export async function findTarget(look: Look, machine: Machine, setup: Setup, wanted?: string): Promise<Target> {
  const engine = { address: engineAddress(machine, setup), port: setup.settings.engine.port }
  const address = setup.mode === 'proxy' ? (machine.tailscale.ipv4 ?? '127.0.0.1') : engine.address
  const port = setup.mode === 'proxy' ? setup.settings.port : engine.port
  const name = await chooseModel(look, engine, wanted)
  const model = name === undefined ? undefined : await facts(look, engine, name)
  return { address, port, host: `${address}:${port}`, engine, groups: openGroups(setup.settings), model }
}

async function chooseModel(look: Look, engine: Target['engine'], wanted?: string): Promise<string | undefined> {
  const all = (await tags(look, engine.address, engine.port)) ?? []
  if (wanted !== undefined) return all.find((tag) => sameModel(tag.name, wanted))?.name
  const loaded = (await running(look, engine.address, engine.port)) ?? []
  const first = loaded.find((model) => all.some((tag) => tag.name === model.name))
  return (
    first?.name ?? all.filter((tag) => !/embed/.test(tag.name)).sort((one, other) => one.size - other.size)[0]?.name
  )
}

async function facts(look: Look, engine: Target['engine'], name: string): Promise<ModelFacts> {
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
