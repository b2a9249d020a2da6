import { platformOf } from '../platform/here.ts'
import { openRows } from '../site/endpoints.ts'
import type { Result } from '../steps/step.ts'
import type { Proof } from './prove.ts'

/** Where Ollama itself is, and every way to it or to the gateway that was seen beside the one that is meant. */
function waysIn(results: Result[], onLoopback: boolean): string[] {
  const seen = results.filter(({ id }) => ['isolation.served', 'isolation.forwards'].includes(id))
  const past = seen.filter(({ state }) => state === 'missed').map(({ saw }) => `  NOT PROTECTED: ${saw}`)
  const more = seen.filter(({ state }) => state === 'advice').map(({ saw }) => `  also reached: ${saw}`)
  if (past.length > 0) return [...past, ...more]
  return [onLoopback ? '  Ollama itself on loopback only' : '  NOT PROVEN that Ollama is on loopback only', ...more]
}

/** What answers where, and what does not, in words that come from the results. */
export function statement(proof: Proof): string {
  const { machine, setup, results, target } = proof
  const good = (id: string) =>
    results.some((result) => result.id === id && (result.state === 'ok' || result.state === 'done'))
  const silent = results.filter(
    (result) => /^isolation\.\d|^isolation\.[0-9a-f-]+$/.test(result.id) && result.state === 'ok',
  )
  const unproven = results.filter((result) => result.state === 'skipped').map((result) => result.id)
  const rows = openRows(target.groups).map((row) => `${row.method} ${row.path}`)
  const lines = [
    'Reachability',
    setup.mode === 'proxy'
      ? good('haproxy.listens')
        ? `  answers on ${machine.tailscale.ipv4}:${setup.settings.port}${machine.tailscale.name && !machine.tailscale.unresolved ? ` (${machine.tailscale.name})` : ''} for: ${rows.join(', ')}`
        : '  NOT PROVEN that the gateway answers on the tailnet address'
      : setup.mode === 'local'
        ? `  no remote access: Ollama answers on ${platformOf(machine).words.here} only`
        : `  NOT PROTECTED: every Ollama endpoint answers on ${machine.tailscale.ipv4}:${setup.settings.engine.port}, model deletion included`,
    ...(setup.mode === 'proxy' && good('haproxy.identity')
      ? ['  refuses everything else there, model management included']
      : []),
    silent.length
      ? `  nothing on ${silent.map((result) => /on (\S+)/.exec(result.title)?.[1]).join(', ')}`
      : '  no other address was tried',
    ...(results.some((result) => result.id === 'firewall.haproxy' && result.state === 'advice')
      ? [
          '  NOT PROVEN from outside: the application firewall is on and may hold back HAProxy; try the curl below from another device',
        ]
      : []),
    ...waysIn(results, good('ollama.loopback-only')),
    good('ollama.cloud-off') ? '  cloud forwarding off' : '  NOT PROVEN that cloud forwarding is off',
    unproven.length ? `  not proven (skipped): ${unproven.join(', ')}` : '  nothing was skipped',
  ]
  return lines.join('\n')
}
