import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Position } from '../host/appended.ts'
import { groups } from '../site/endpoints.ts'
import type { Ended } from './ended.ts'
import type { Taker } from './requests.ts'
import { secondsOf, whoOf } from './usage.ts'

/** Values that a label may have besides `others`: every one costs memory here and in Prometheus. */
const most = 200

/** The same name for the first so many that are real, one common name for the rest. */
function bounded(): (name: string, real: boolean) => string {
  const known = new Set([''])
  return (name, real) => {
    if (real && known.size < most) known.add(name)
    return known.has(name) ? name : 'others'
  }
}

/** Clients invent names of models; the engine answers only for those that it has. */
const answered = ({ status, end }: Ended): boolean => end !== 'denied' && status >= 200 && status < 400

const statusClass = (status: number): string => (status < 100 ? 'none' : `${Math.floor(status / 100)}xx`)
const groupOf = ({ group }: Ended): string => (Object.hasOwn(groups, group) ? group : 'none')
const seconds = (ms: number): number => Math.max(0, ms) / 1000

/** Numbers that are read when somebody asks for them. */
export type Gauges = Record<
  | 'up'
  | 'engineUp'
  | 'running'
  | 'waiting'
  | 'runningOf'
  | 'keyExpires'
  | 'modelBytes'
  | 'memoryBytes'
  | 'diskFree'
  | 'droppedLines'
  | 'certificateExpires'
  | 'certificateLeft'
  | 'certificateStale'
  | 'nodeUp'
  | 'nodeRunning'
  | 'nodeWaiting',
  Gauge
>

export interface Metrics extends Taker {
  registry: Registry
  gauges: Gauges
}

const answers = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900]

/** What is counted of requests since the observer started, and the gauges beside it; every label bounded. */
export function metrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const common = { registers }
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ ...common, name, help, labelNames })
  const histogram = (name: string, help: string) =>
    new Histogram({ ...common, name, help, labelNames: ['group'], buckets: answers })
  const requests = counter('gateway_requests_total', 'Requests that have ended', ['who', 'model', 'group', 'status'])
  const refusals = counter('gateway_refusals_total', 'Requests that the gateway refused, by policy', ['policy'])
  const ends = counter('gateway_ends_total', 'Requests by how they ended', ['end'])
  const generation = counter('gateway_generation_seconds_total', 'Seconds of the engine’s work', ['who', 'model'])
  const nodes = counter('gateway_node_requests_total', 'Requests by the node that served them, and the way there', [
    'node',
    'route',
  ])
  const bytes = counter('gateway_response_bytes_total', 'Bytes sent to clients', ['who'])
  const queued = histogram('gateway_queue_seconds', 'Time in the gateway’s queue')
  const firstByte = histogram('gateway_first_byte_seconds', 'Time from the engine’s connection to its first byte')
  const duration = histogram('gateway_duration_seconds', 'Time of the whole request')
  const [person, model] = [bounded(), bounded()]

  const badLines = counter('gateway_bad_log_lines_total', 'Lines of the access log that were no request', [])

  function take(ended: Ended[], _upTo: Position, bad: number): void {
    badLines.inc(bad)
    for (const request of ended) {
      const group = groupOf(request)
      const labels = { who: person(whoOf(request), true), model: model(request.model, answered(request)) }
      requests.inc({ ...labels, group, status: statusClass(request.status) })
      ends.inc({ end: request.end })
      if (request.node) nodes.inc({ node: request.node, route: request.route || 'none' })
      if (request.end === 'denied') refusals.inc({ policy: request.denied })
      bytes.inc({ who: labels.who }, request.bytes)
      generation.inc(labels, secondsOf(request))
      if (request.queueMs >= 0) queued.observe({ group }, seconds(request.queueMs))
      if (request.firstByteMs >= 0) firstByte.observe({ group }, seconds(request.firstByteMs))
      duration.observe({ group }, seconds(request.totalMs))
    }
  }
  return { registry, take, gauges: gauges(registers) }
}

function gauges(registers: Registry[]): Gauges {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ registers, name: `gateway_${name}`, help, labelNames })
  return {
    up: gauge('up', '1 while HAProxy answers on its socket'),
    engineUp: gauge('engine_up', '1 while HAProxy finds Ollama up'),
    running: gauge('running_requests', 'Requests at the engine now'),
    waiting: gauge('waiting_requests', 'Requests in the queue now'),
    runningOf: gauge('person_running_requests', 'Requests to a model under way, by who', ['who']),
    keyExpires: gauge('key_expires_timestamp_seconds', 'When a key ends', ['who']),
    modelBytes: gauge('loaded_model_bytes', 'Memory that a loaded model takes', ['model']),
    memoryBytes: gauge('memory_bytes', 'Memory of this machine'),
    diskFree: gauge('disk_free_bytes', 'Room on the disk of the home folder'),
    certificateExpires: gauge('certificate_expires_timestamp_seconds', 'When the certificate ends that is served', [
      'name',
      'at',
      'serial',
    ]),
    certificateLeft: gauge('certificate_left_ratio', 'Share of its life that is left, from 1 to 0', ['name', 'at']),
    certificateStale: gauge('certificate_stale', '1 while another one is served than the one on disk', ['name', 'at']),
    nodeUp: gauge('node_up', '1 while a node answers and takes requests', ['node']),
    nodeRunning: gauge('node_running_requests', 'Requests at a node now', ['node']),
    nodeWaiting: gauge('node_waiting_requests', 'Requests that wait for a node now', ['node']),
    droppedLines: gauge('dropped_log_lines', 'Lines that HAProxy could not write since it started'),
  }
}
