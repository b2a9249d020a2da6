import { listing } from '../../lib/observer/serving.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { refreshIdentities } from '../../lib/people/refresh.ts'
import { type RunningGateway, startGateway } from '../lab/gateway.ts'
import { json, type Recorder } from '../lab/recorder.ts'

/** As the owner of such a server would give it away. */
export const name = 'studio.tail1234.ts.net'
export const address = `http://${name}:11434/connect`
export const key = generateKey()

const models = ['qwen3-coder:30b', 'qwen3:8b', 'deepseek-r1:70b']
const device = (DNSName: string, ip: string) => ({ DNSName, TailscaleIPs: [ip], UserID: 1 })
/** The browser is on this machine, and the tailnet has it as Ann's laptop. */
const tailnet = JSON.stringify({
  BackendState: 'Running',
  MagicDNSSuffix: 'tail1234.ts.net',
  Self: device(`${name}.`, '100.64.0.1'),
  Peer: { a: device('anns-laptop.tail1234.ts.net.', '127.0.0.1') },
  User: { 1: { LoginName: 'ann@example.com' } },
})

/** An engine's list of models. */
export const engineAnswers = json(JSON.stringify({ models: models.map((name) => ({ name, size: 1 })) }))

/** A real gateway with what its observer serves, and the rule by which a browser finds it under its name. */
export async function serve(engine: Recorder, settings: string): Promise<RunningGateway & { rules: string }> {
  const registry = {
    version: 1 as const,
    keys: { ann: { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(key) }] } },
  }
  const hosts = `hosts: ['${name}:11434']\nlog: requests\n${settings}`
  const gateway = await startGateway({ enginePort: engine.port, settings: hosts, registry })
  const tailscale = { find: async () => 'tailscale', query: async () => ({ code: 0, stdout: tailnet, stderr: '' }) }
  await refreshIdentities({ ...gateway.machine, ...tailscale })
  await listing(() => ({ ...gateway.gateway.settings, engine: { port: engine.port } })).run(gateway.machine)
  return { ...gateway, rules: `MAP ${name}:11434 ${gateway.address}:${gateway.port}` }
}
