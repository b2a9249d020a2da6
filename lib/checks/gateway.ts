import type { Machine } from '../machine.ts'
import type { Setup } from '../parts/part.ts'
import { labels, places } from '../places.ts'
import { fault } from '../proxy/reload.ts'
import { type Check, missed, ok } from '../step.ts'
import { plistKeys } from './engine.ts'

const again = 'Run install.ts again.'

/** What must hold of the running gateway beyond its own steps. */
export const gatewayChecks = (machine: Machine, setup: Setup): Check[] =>
  setup.mode === 'proxy'
    ? [plistKeys('haproxy.plist-keys', labels.gateway), valid(setup), sockets(), address(machine)]
    : []

function valid(setup: Setup): Check {
  return {
    id: 'haproxy.valid',
    title: 'HAProxy finds no fault in its configuration',
    async check(look) {
      const complaint = await fault(look, setup.programs.haproxy, places(look.home).config)
      return complaint ? missed(complaint, again) : ok('haproxy -c')
    },
  }
}

function sockets(): Check {
  return {
    id: 'haproxy.sockets',
    title: 'The admin and master sockets are for their owner alone',
    needs: ['haproxy.service'],
    async check(look) {
      const at = places(look.home)
      const modes = await Promise.all(
        [at.adminSocket, at.masterSocket].map(async (socket) => (await look.stat(socket))?.mode),
      )
      return modes.every((mode) => mode === 0o600)
        ? ok('mode 600')
        : missed(`modes ${modes.map((mode) => mode?.toString(8) ?? 'missing').join(', ')}`, again)
    },
  }
}

/** After a new login to another tailnet the proxy stays down rather than wrong. */
function address(machine: Machine): Check {
  return {
    id: 'haproxy.address',
    title: 'The configured address is this machine’s tailnet address',
    async check(look) {
      const text = (await look.read(places(look.home).config)) ?? ''
      const configured = /^ {4}bind (\S+):\d+$/m.exec(text)?.[1]
      const { ipv4 } = machine.tailscale
      if (configured && configured === ipv4) return ok(`${ipv4}`)
      return missed(
        `configured is ${configured ?? 'none'}, the tailnet gives ${ipv4 ?? 'none'}`,
        'Run install.ts again: it moves the gateway to the new address.',
      )
    },
  }
}
