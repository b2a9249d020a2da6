import type { Host, Look } from '../host/host.ts'
import { getFromSocket, type Said, type Served, serveSocket, serveText } from '../host/serve.ts'
import { listOf } from '../people/lists.ts'
import { listedNow } from '../people/store.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import type { Duty } from './duty.ts'
import { readGauges } from './gauges.ts'
import type { Metrics } from './metrics.ts'
import { isProbe } from './own-requests.ts'

/** Everything that Prometheus is told: the observer's own numbers, then HAProxy's where it has an exporter. */
async function exposition(look: Look, { registry, gauges }: Metrics): Promise<string> {
  await readGauges(look, gauges)
  const own = await registry.metrics()
  return `${own}${(await getFromSocket(places(look).metricsSocket, '/metrics')) ?? ''}`
}

/** Serves the metrics on the settings' port; a taken one is tried again, and one that changes is followed. */
export function serving(settings: () => Settings, metrics: Metrics): Duty {
  let at: { port: number; served: Served } | undefined
  return {
    name: 'metrics',
    everyMs: 5000,
    async run(host: Host) {
      const { port } = settings().metrics
      if (at?.port === port) return
      await at?.served.close()
      at = undefined
      const answer = async (path: string) => (path === '/metrics' ? exposition(host, metrics) : undefined)
      const served = await serveText('127.0.0.1', port, answer).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE') throw error
        throw new Error(
          `another program holds 127.0.0.1:${port}, so no metrics are served; stop it, or set metrics.port in settings.yaml.`,
        )
      })
      at = { port, served }
    },
  }
}

const none: Said = { status: 404, text: '{}' }

/** The list of whoever is named behind the path. A running test.ts has an empty one, which is in no file. */
async function listFor(look: Look, enginePort: number, target: string): Promise<Said> {
  if (target === '/') return { status: 200, text: '{}' }
  const [, path, who = ''] = /^(\/v1\/models|\/api\/tags)\/([^?]+)/.exec(target) ?? []
  const models = isProbe(who) ? [] : (await listedNow(look)).find(({ name }) => name === who)?.models
  if (path === undefined || models === undefined) return none
  const text = await listOf(look, enginePort, path === '/api/tags' ? 'api' : 'v1', models)
  return text === undefined ? { status: 502, text: '{}' } : { status: 200, text }
}

/** Tells HAProxy which models somebody with a list of models may see; a socket that does not answer is made anew. */
export const listing = (settings: () => Settings): Duty => ({
  name: 'lists of models',
  everyMs: 5000,
  async run(host: Host) {
    const { listsSocket } = places(host)
    if ((await getFromSocket(listsSocket, '/')) !== undefined) return
    await serveSocket(listsSocket, (target) => listFor(host, settings().engine.port, target))
  },
})
