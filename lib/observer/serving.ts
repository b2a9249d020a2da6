import type { Host, Look } from '../host/host.ts'
import { getFromSocket, type Served, serveText } from '../host/serve.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import type { Duty } from './duty.ts'
import { readGauges } from './gauges.ts'
import type { Metrics } from './metrics.ts'

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
