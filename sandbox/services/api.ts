import { type Answer, json, type Received, startRecorder } from '../lab/recorder.ts'

/** A program in the place of LiteLLM, vLLM or Qdrant, as their documents and sources have it: its health, and JSON for all else. It has no model and no data. */
export interface ApiStandIn {
  name: string
  port: number
  /** everything but health checks */
  asked: Received[]
  /** how it answers; JSON that names it unless told */
  answers: Answer
  stop(): Promise<void>
  start(): Promise<void>
}

/** Starts one that answers its health question at this path. */
export async function startApi(name: string, health: string): Promise<ApiStandIn> {
  const recorder = await startRecorder((wire, request) => {
    const agent = request.head.headers.find(([header]) => header === 'user-agent')
    if (request.target === health && !agent) return json()(wire, request)
    one.asked.push(request)
    return one.answers(wire, request)
  })
  const one: ApiStandIn = {
    ...{ name, port: recorder.port, asked: [], answers: json(`{"from":"${name}"}`) },
    stop: recorder.stop,
    start: recorder.start,
  }
  return one
}
