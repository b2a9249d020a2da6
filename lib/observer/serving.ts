import type { Host, Look } from '../host/host.ts'
import { getFromSocket, type Said, type Served, serveSocket, serveText } from '../host/serve.ts'
import { loadedNow, together } from '../nodes/lists.ts'
import { listOf } from '../people/lists.ts'
import { listedNow } from '../people/store.ts'
import { places, platformOf } from '../platform/here.ts'
import { spreads } from '../site/nodes.ts'
import type { Settings } from '../site/settings.ts'
import { connectAnswer } from './connect/answer.ts'
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

/** What all nodes together have, for whoever may see all; the gateway asks it at the paths of its clients. */
const whole: Record<string, (look: Look, settings: Settings) => Promise<object>> = {
  '/v1/models': async (look, settings) => (await together(look, settings)).v1,
  '/api/tags': async (look, settings) => (await together(look, settings)).api,
  '/api/ps': loadedNow,
}

const none: Said = { status: 404, text: '{}' }

/** The list of whoever is named behind the path. A running test.ts has an empty one, which is in no file. */
async function listFor(look: Look, settings: Settings, target: string): Promise<Said> {
  if (target === '/') return { status: 200, text: '{}' }
  const told = spreads(settings) ? whole[target.split('?')[0] ?? ''] : undefined
  if (told) return { status: 200, text: JSON.stringify(await told(look, settings)) }
  const [, path, who = ''] = /^(\/v1\/models|\/api\/tags)\/([^?]+)/.exec(target) ?? []
  const models = isProbe(who) ? [] : (await listedNow(look)).find(({ name }) => name === who)?.models
  if (path === undefined || models === undefined) return none
  const text = await listOf(look, settings, path === '/api/tags' ? 'api' : 'v1', models)
  return text === undefined ? { status: 502, text: '{}' } : { status: 200, text }
}

/** Tells HAProxy which models somebody with a list of models may see, and how whoever opens the page connects; a socket that does not answer is made anew. */
export const listing = (settings: () => Settings, ofNodes = settings): Duty => ({
  name: 'lists of models',
  everyMs: 5000,
  async run(host: Host) {
    const { listsSocket } = places(host)
    if ((await getFromSocket(listsSocket, '/')) !== undefined) return
    await serveSocket(listsSocket, platformOf(host).modes.socket, (asked) =>
      /^\/connect(\?|$)/.test(asked.target)
        ? connectAnswer(host, settings(), asked)
        : listFor(host, ofNodes(), asked.target),
    )
  },
})
