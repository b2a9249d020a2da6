import type { Places, Role } from '../platform.ts'

/** The places under this home. A unix socket's path holds about 100 bytes, so the sockets live in a short folder. */
export function places(home: string): Places {
  const support = `${home}/Library/Application Support/remote-ollama-proxy`
  const proxy = `${home}/.haproxy`
  const logs = `${home}/Library/Logs/remote-ollama-proxy`
  const settingsFolder = `${home}/.config/remote-ollama-proxy`
  return {
    settingsFolder,
    settings: `${settingsFolder}/settings.yaml`,
    keys: `${settingsFolder}/keys.json`,
    proxy,
    config: `${proxy}/haproxy.cfg`,
    lastGood: `${proxy}/haproxy.cfg.last-good`,
    maps: `${proxy}/maps`,
    keyMaps: `${proxy}/keys`,
    certs: `${proxy}/certs`,
    run: `${proxy}/run`,
    adminSocket: `${proxy}/run/admin.sock`,
    masterSocket: `${proxy}/run/master.sock`,
    ipv6: `${proxy}/run/ipv6.cfg`,
    metricsSocket: `${proxy}/run/metrics.sock`,
    healthSocket: `${proxy}/run/health.sock`,
    listsSocket: `${proxy}/run/lists.sock`,
    agents: `${home}/Library/LaunchAgents`,
    support,
    runtime: support,
    current: `${support}/current`,
    node: `${support}/current/node`,
    state: `${support}/state`,
    receipt: `${support}/state/receipt.json`,
    lock: `${support}/state/lock`,
    backups: `${support}/state/backups`,
    applied: `${support}/state/applied.yaml`,
    copies: `${support}/state/copies`,
    observer: `${support}/state/observer.json`,
    usage: `${support}/state/usage`,
    access: `${proxy}/run/access.log`,
    requestLog: `${logs}/haproxy.log`,
    logs,
  }
}

/** Logs of installs older than this project's log folder; their jobs name them, too. */
export const oldLogs = ['/tmp/ollama.stdout.log', '/tmp/ollama.stderr.log', '/tmp/haproxy.log']

/** The labels of our jobs; file names and targets are made from these alone. */
export const labels = {
  engine: 'com.ollama',
  gateway: 'com.haproxy',
  warm: 'com.ollama.warm-models',
  observer: 'com.haproxy.observer',
} as const satisfies Record<Role, string>
