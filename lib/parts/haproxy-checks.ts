import { apartNeeds, blended } from '../gateway/policies/timeouts.ts'
import { fault } from '../haproxy/reload.ts'
import type { Look } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { standings } from '../nodes/standing.ts'
import { labels, places, platformOf } from '../platform/here.ts'
import { atLeast, versionNumbers } from '../platform/versions.ts'
import { noKeys } from '../site/limits.ts'
import type { Machine } from '../site/machine.ts'
import { nodesOf } from '../site/nodes.ts'
import { asksKeys } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { advice, again, type Check, missed, ok, skipped } from '../steps/step.ts'
import { startsAtLogin } from './ollama-checks.ts'
import { serviceChecks } from './services.ts'

/** What must hold of the running gateway beyond its own steps. */
export const gatewayChecks = (machine: Machine, setup: Setup): Check[] =>
  setup.mode === 'proxy'
    ? [
        startsAtLogin(machine, 'haproxy.at-login', labels(machine).gateway),
        valid(setup),
        recent(machine, setup),
        sockets(),
        address(machine),
        ...timesApart(machine, setup),
        ...nodeChecks(setup),
        ...serviceChecks(setup),
      ]
    : []

/** A node that is down is no miss: the others answer, and it comes back by itself. */
const nodeChecks = ({ settings }: Setup): Check[] =>
  nodesOf(settings).length === 0
    ? []
    : [
        {
          id: 'nodes.up',
          title: 'Every node answers the gateway',
          needs: ['haproxy.service'],
          async check(look) {
            const all = await standings(look, settings)
            const silent = all.filter(({ state }) => state === 'down' || state === 'unknown')
            const resting = all.filter(({ state }) => state === 'drained')
            if (silent.length > 0)
              return advice(
                silent
                  .map(({ node, fault }) => `${node.name} does not: ${fault ?? 'the gateway was not told of it'}`)
                  .join('; '),
                `\`${typed('nodes')}\` shows how each does; \`${typed('nodes')} drain ${silent[0]?.node.name}\` is to be without it for long.`,
              )
            const rest = resting.length > 0 ? `; drained: ${resting.map(({ node }) => node.name).join(', ')}` : ''
            return ok(`${all.length} nodes${rest}`)
          },
        },
      ]

function valid(setup: Setup): Check {
  return {
    id: 'haproxy.valid',
    title: 'HAProxy finds no fault in its configuration',
    async check(look) {
      const complaint = await fault(look, setup.programs.haproxy, places(look).config)
      return complaint ? missed(`HAProxy finds a fault: ${complaint}`, again) : ok('haproxy -c')
    },
  }
}

/** The day after the fix of CVE-2025-11230 was committed; distributions backport it, so a version number says little (haproxy-policy.md §10). */
const fixed = '2025/09/30'

/** The model of every request is read by HAProxy's JSON decoder. */
function recent(machine: Machine, setup: Setup): Check {
  return {
    id: 'haproxy.recent',
    title: 'HAProxy is new enough not to be stopped by an endless JSON number (CVE-2025-11230)',
    async check(look) {
      const { stdout } = await look.query([setup.programs.haproxy, '-v'])
      const [, version, date = ''] = /version (\S+) (\d{4}\/\d\d\/\d\d)/i.exec(stdout) ?? []
      if (!version) return skipped('it does not say of when it is')
      const saw = `${version} of ${date.replaceAll('/', '-')}`
      return date >= fixed
        ? ok(saw)
        : advice(
            `HAProxy ${saw} can be stopped by an endless JSON number`,
            `${platformOf(machine).packages.typed(machine.packager, 'upgrade', 'haproxy')}, then run ${called('install')} again.`,
          )
    },
  }
}

const versionOf = async (look: Look, setup: Setup): Promise<string | undefined> =>
  /version (\S+)/i.exec((await look.query([setup.programs.haproxy, '-v'])).stdout)?.[1]

/** Nothing is refused for it, since one of the two limits holds. */
function timesApart(machine: Machine, setup: Setup): Check[] {
  const whose = blended(setup.settings, asksKeys(setup.settings) ? setup.registry : noKeys)
  if (whose.length === 0) return []
  return [
    {
      id: 'haproxy.times-apart',
      title: 'HAProxy tells the time to the first byte from silence after it',
      async check(look) {
        const version = await versionOf(look, setup)
        if (!version) return skipped('it does not say of which version it is')
        if (atLeast(versionNumbers(version), [...apartNeeds])) return ok(version)
        const upgrade = platformOf(machine).packages.typed(machine.packager, 'upgrade', 'haproxy')
        const remedy = `${upgrade}, then run ${called('install')} again: 3.0 tells them apart.`
        return advice(
          `HAProxy ${version} has one limit for the time to the first byte and for silence after it: ${whose.join(', ')}`,
          remedy,
        )
      },
    },
  ]
}

function sockets(): Check {
  return {
    id: 'haproxy.sockets',
    title: 'The admin and master sockets are for their owner alone',
    needs: ['haproxy.service'],
    async check(look) {
      const at = places(look)
      const modes = await Promise.all(
        [at.adminSocket, at.masterSocket].map(async (socket) => (await look.stat(socket))?.mode),
      )
      return modes.every((mode) => mode === 0o600)
        ? ok('mode 600')
        : missed(
            `the admin and master sockets have modes ${modes.map((mode) => mode?.toString(8) ?? 'missing').join(', ')}`,
            again,
          )
    },
  }
}

/** After a new login to another tailnet the proxy stays down rather than wrong. */
function address(machine: Machine): Check {
  return {
    id: 'haproxy.address',
    title: 'The configured address is this machine’s tailnet address',
    needs: ['tailscale.up'],
    async check(look) {
      const text = (await look.read(places(look).config)) ?? ''
      const configured = /^ {4}bind (\S+):\d+(?: name tailnet)?$/m.exec(text)?.[1]
      const { ipv4 } = machine.tailscale
      if (configured && configured === ipv4) return ok(`${ipv4}`)
      return missed(
        `the gateway is configured for ${configured ?? 'no address'}, and the tailnet gives ${ipv4 ?? 'none'}`,
        again,
      )
    },
  }
}
