import { setTimeout as pause } from 'node:timers/promises'
import { type EngineName, kindOf } from '../../lib/site/engines.ts'
import { type Answer, type Answering, json, type Received, type Recorder, startRecorder } from './recorder.ts'

/** A request to a model, as an engine got it. */
export interface Asked {
  model: string
  target: string
  wire: Answering
  request: Received
}

/** An engine of some kind on 127.0.0.1, as its documents describe it (facts: nodes.md §7): its lists, its health, and answers that name it. */
export interface Engine {
  recorder: Recorder
  kind: EngineName
  port: number
  /** what it has, and what of that is in memory */
  models: string[]
  loaded: Set<string>
  /** requests to models, oldest first */
  asked: Asked[]
  /** everything else that reached it but its health checks */
  other: Received[]
  /** how it answers a model; at once and whole unless told */
  answers: Answer
  /** what it says to its health check, if anything */
  healthy: boolean | 'silent'
}

const lists: Record<string, (engine: Engine) => object> = {
  '/api/tags': ({ models }) => ({ models: models.map((name) => ({ name, size: 1, digest: `d-${name}` })) }),
  '/api/ps': ({ loaded }) => ({ models: [...loaded].map((name) => ({ name, size: 1 })) }),
  '/v1/models': ({ models }) => ({ object: 'list', data: models.map((id) => ({ id, object: 'model' })) }),
  '/api/v1/models': ({ models, loaded }) => ({
    models: models.map((key) => ({ key, loaded_instances: loaded.has(key) ? [{ id: key }] : [] })),
  }),
}

const modelIn = (request: Received): string | undefined => {
  try {
    return (JSON.parse(request.body.toString()) as { model?: string }).model
  } catch {
    return undefined
  }
}

function answer(engine: Engine, name: string): Answer {
  return (wire, request) => {
    const { check } = kindOf(engine.kind)
    if (request.target === check && engine.healthy === 'silent') return
    if (request.target === check && !engine.healthy) return json('{"error":"not now"}', '503 No')(wire, request)
    const list = lists[request.target]
    if (request.method === 'GET' && list) return json(JSON.stringify(list(engine)))(wire, request)
    if (request.target === check) return json()(wire, request)
    const model = modelIn(request)
    if (request.method !== 'POST' || model === undefined) {
      engine.other.push(request)
      return json(`{"from":"${name}"}`)(wire, request)
    }
    engine.asked.push({ model, target: request.target, wire, request })
    return engine.answers(wire, request)
  }
}

/** Starts one; it answers with its name. `at` is where it listens, if that matters. */
export async function startEngine(
  name: string,
  kind: EngineName,
  models: string[],
  loaded = models,
  at: Parameters<typeof startRecorder>[1] = {},
): Promise<Engine> {
  const engine = { kind, models, loaded: new Set(loaded), asked: [], other: [], healthy: true } as unknown as Engine
  engine.answers = json(`{"from":"${name}"}`)
  engine.recorder = await startRecorder((wire, request) => answer(engine, name)(wire, request), at)
  engine.port = engine.recorder.port
  return engine
}

/** Answers after so long (ms), as an engine that works. */
export const after =
  (ms: number, name: string): Answer =>
  async (wire, request) => {
    await pause(ms)
    return json(`{"from":"${name}"}`)(wire, request)
  }
