import type { Places, Role } from '../platform.ts'

/** Where the image has the program. */
export const program = '/usr/local/lib/remote-ollama-proxy'

/** Everything is below one folder, which is a volume; in it the owner's two folders and the sockets' are mounted. */
export function places(home: string): Places {
  const given = `${home}/config`
  const state = `${home}/state`
  const proxy = `${home}/gateway`
  const run = `${home}/run`
  const logs = `${home}/logs`
  return {
    settings: `${given}/settings.yaml`,
    given: { folder: given, keys: `${given}/api_keys.conf`, nodes: `${given}/upstream_ollama.conf` },
    settingsFolder: state,
    keys: `${state}/keys.json`,
    certs: `${state}/certs`,
    proxy,
    config: `${proxy}/haproxy.cfg`,
    lastGood: `${proxy}/haproxy.cfg.last-good`,
    maps: `${proxy}/maps`,
    keyMaps: `${proxy}/keys`,
    ipv6: `${proxy}/ipv6.cfg`,
    access: `${proxy}/access.log`,
    run,
    adminSocket: `${run}/admin.sock`,
    masterSocket: `${run}/master.sock`,
    healthSocket: `${run}/health.sock`,
    metricsSocket: `${run}/metrics.sock`,
    listsSocket: `${run}/lists.sock`,
    agents: `${home}/jobs`,
    support: program,
    runtime: program,
    current: program,
    node: `${program}/node`,
    state,
    receipt: `${state}/receipt.json`,
    lock: `${state}/lock`,
    backups: `${state}/backups`,
    applied: `${state}/applied.yaml`,
    copies: `${state}/copies`,
    observer: `${state}/observer.json`,
    usage: `${state}/usage`,
    requestLog: `${logs}/haproxy.log`,
    logs,
  }
}

/** What templates/container/start knows the jobs by; the first two are all that runs here. */
export const labels = {
  gateway: 'container-gateway',
  observer: 'container-observer',
  engine: 'container-engine',
  warm: 'container-warm',
} as const satisfies Record<Role, string>
