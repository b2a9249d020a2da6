import type { Places, Role } from '../platform.ts'

const name = 'remote-ollama-proxy'

/** Where the program lies: the copies that jobs run, and their Node. */
export const library = `/usr/local/lib/${name}`

/** The Node that jobs and the command run by: no other upgrade changes it. */
export const ownNode = `${library}/node/bin/node`

/** The places of the Filesystem Hierarchy Standard; the machine has one server, so nobody's home counts. */
export function places(): Places {
  const settingsFolder = `/etc/${name}`
  const variable = `/var/lib/${name}`
  const proxy = `${variable}/gateway`
  const state = `${variable}/state`
  const run = `/run/${name}`
  const logs = `/var/log/${name}`
  return {
    settingsFolder,
    settings: `${settingsFolder}/settings.yaml`,
    keys: `${settingsFolder}/keys.json`,
    proxy,
    config: `${proxy}/haproxy.cfg`,
    lastGood: `${proxy}/haproxy.cfg.last-good`,
    maps: `${proxy}/maps`,
    keyMaps: `${proxy}/keys`,
    run,
    adminSocket: `${run}/admin.sock`,
    masterSocket: `${run}/master.sock`,
    ipv6: `${proxy}/ipv6.cfg`,
    certs: `${settingsFolder}/certs`,
    metricsSocket: `${run}/metrics.sock`,
    healthSocket: `${run}/health.sock`,
    listsSocket: `${run}/lists.sock`,
    agents: '/etc/systemd/system',
    support: library,
    runtime: library,
    current: `${library}/current`,
    node: `${library}/current/node`,
    state,
    receipt: `${state}/receipt.json`,
    lock: `${state}/lock`,
    backups: `${state}/backups`,
    applied: `${state}/applied.yaml`,
    copies: `${state}/copies`,
    observer: `${state}/observer.json`,
    usage: `${state}/usage`,
    // On the disk, since what was not yet read of it must outlive a restart of the machine.
    access: `${proxy}/access.log`,
    requestLog: `${logs}/haproxy.log`,
    logs,
  }
}

/** The units; Ollama's own is never edited, so what it is to do stands in a drop-in. */
export const labels = {
  engine: 'ollama.service',
  gateway: `${name}-gateway.service`,
  warm: `${name}-warm-models.service`,
  observer: `${name}-observer.service`,
} as const satisfies Record<Role, string>

/** What the drop-in for a unit of somebody else is called. */
export const dropIn = `${name}.conf`
