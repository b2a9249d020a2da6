import { labels, places, platformOf } from '../platform/here.ts'
import type { JobFile } from '../platform/platform.ts'
import type { Configuration } from '../site/configuration.ts'
import type { Machine } from '../site/machine.ts'
import { servicesOf } from '../site/services.ts'
import type { Setup } from '../site/setup.ts'
import { ownAddress } from '../site/vip.ts'
import { render } from './config.ts'
import { demandsOf } from './demands.ts'
import { listenersOf } from './listeners.ts'
import type { Gateway } from './policy.ts'

const unknown4 = '100.64.0.1'

/** Everything the configuration is made from, for this machine. The tailnet's networks: tailscale.com/kb/1015, kb/1033. */
export function gatewayOf(machine: Machine, setup: Setup): Gateway {
  const { ipv4, ipv6, name, hostName } = machine.tailscale
  const { door } = platformOf(machine)
  const addresses = [ipv4 ?? unknown4, ...(ipv6 ? [ipv6] : [])]
  const short = name?.split('.')[0]
  const names = [...addresses, name, short, hostName?.toLowerCase()].filter((entry) => /^[\w.:-]+$/.test(entry ?? ''))
  return {
    settings: setup.settings,
    listeners: listenersOf(setup.settings, {
      ...{ name: door?.name ?? 'tailnet', addresses, port: setup.settings.port },
      sources: door ? [] : ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'],
    }),
    hosts: [...new Set([...names.flatMap((entry) => entry ?? []), ...setup.settings.hosts])],
    services: servicesOf(setup.settings, setup.kinds),
    ...demandsOf(setup.registry, setup.settings),
    ...ofPair(machine, setup),
    home: machine.home,
    system: machine.system,
  }
}

const ofPair = (machine: Machine, { settings: { vip } }: Setup): Pick<Gateway, 'own'> =>
  vip ? { own: ownAddress(machine, vip)?.address } : {}

/** The gateway's configuration as the settings and the tailnet give it now. */
export const configurationOf = (machine: Machine, setup: Setup): Configuration =>
  render(gatewayOf(machine, setup), setup.templates)

/** The gateway's job. */
export function gatewayJob(machine: Machine, setup: Setup): JobFile {
  const at = places(machine)
  return platformOf(machine).jobFiles.filled(setup.jobs[labels(machine).gateway] ?? '', {
    bin: `${at.current}/templates/bin`,
    haproxy: setup.programs.haproxy,
    address: machine.tailscale.ipv4 ?? '100.x.y.z',
    address6: machine.tailscale.ipv6 ?? '',
    log: setup.settings.observer === 'on' ? at.access : at.requestLog,
    logs: at.logs,
    folder: at.proxy,
    sockets: at.run,
    ipv6: at.ipv6,
    // What speaks from an address that another machine has by now.
    more: setup.settings.vip ? ' CAP_NET_RAW' : '',
  })
}
