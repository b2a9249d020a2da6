import { gatewayOf } from '../gateway/of-site.ts'
import type { Listener } from '../gateway/policy.ts'
import { everyListener } from '../gateway/services.ts'
import { runningIpv6 } from '../haproxy/ipv6.ts'
import { runningFingerprint, workerInfo } from '../haproxy/runtime.ts'
import { getAt, type Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { jobsOf, labels, listeners, places, platformOf } from '../platform/here.ts'
import { describe, isLoopback } from '../platform/platform.ts'
import { isTailnet4 } from '../platform/tailscale.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { type Check, missed, ok, skipped, unexplained } from '../steps/step.ts'
import { ways } from './ways.ts'

/** Each address of the machine, and whether the gateway may answer there. */
export function isolation(machine: Machine, setup: Setup): Check[] {
  if (setup.mode === 'exposed') return [notProtected()]
  const listeners = setup.mode === 'proxy' ? everyListener(gatewayOf(machine, setup)) : []
  const others = machine.addresses.filter(
    ({ address }) => !listeners[0]?.addresses.includes(address) && !isLoopback(address) && !address.startsWith('fe80'),
  )
  return [
    ...others.map(({ address, device }) => silent(address, device, setup, listeners.slice(1))),
    enginePort(machine, setup),
    ...ways(machine, setup),
    ...(setup.mode === 'proxy'
      ? [
          listens(machine, setup),
          bySockets(machine, setup),
          answersItself(machine, setup),
          throughMagicName(machine, setup),
          noForgery(machine),
        ]
      : []),
  ]
}

const notProtected = (): Check => ({
  id: 'isolation.not-protected',
  title: 'Ollama is protected by the proxy',
  check: async () =>
    missed(
      'not protected: every endpoint is open to your whole tailnet, as you chose',
      `Run ${called('install')} and agree to the proxy.`,
    ),
})

const ask = (look: Look, address: string, port: number) => getAt(look, { address, port }, '/api/version', 2000)

/** On a LAN address nobody may answer, on either port, but where a listener was asked for. */
function silent(address: string, device: string, setup: Setup, listeners: Listener[]): Check {
  const own = listeners.filter(({ addresses }) => addresses.includes(address))
  return {
    id: `isolation.${address.replaceAll(/[.:]/g, '-')}`,
    title: `Nothing answers on ${address} (${device})${own.map(({ name, port }) => ` but port ${port} (${name})`).join('')}`,
    async check(look) {
      const all = [setup.settings.port, setup.settings.engine.port, ...listeners.map(({ port }) => port)]
      for (const port of new Set(all)) {
        if (own.some((listener) => listener.port === port)) continue
        const answer = await ask(look, address, port)
        if (answer.status)
          return missed(`port ${port} answered ${answer.status}`, `Find it: ${platformOf(look).listeners.typed(port)}`)
      }
      return ok('refused')
    },
  }
}

/** The engine is behind loopback; where both ports are one number, the gateway must be the one that answers. */
function enginePort(machine: Machine, setup: Setup): Check {
  return {
    id: 'isolation.engine',
    title: 'Ollama cannot be reached from outside',
    needs: ['ollama.loopback-only'],
    async check(look) {
      const address = machine.tailscale.ipv4
      if (!address) return skipped('no tailnet address')
      const { port, engine } = setup.settings
      const answer = await getAt(look, { address, port: engine.port }, '/api/ps', 2000)
      if (engine.port !== port || setup.mode === 'local')
        return answer.status ? missed(`port ${engine.port} answered ${answer.status}`, unexplained) : ok('refused')
      const open = setup.settings.groups.some((group) => group === 'status' || group === 'ollama-cli')
      if (answer.end === 'refused') return ok('refused')
      return answer.status === 403 || open
        ? ok(`${address}:${port} is the gateway, not Ollama`)
        : missed(`GET /api/ps got ${answer.status}`, unexplained)
    },
  }
}

const restart = (machine: Machine): string =>
  `Restart the gateway, which cuts running answers: ${jobsOf(machine).typed.restart(labels(machine).gateway)}`

interface Place {
  address: string
  port: number
}

const further = (machine: Machine, setup: Setup): Listener[] => everyListener(gatewayOf(machine, setup)).slice(1)

function listens(machine: Machine, setup: Setup): Check {
  return {
    id: 'haproxy.listens',
    title:
      further(machine, setup).length > 0
        ? 'HAProxy listens where settings.yaml says, and nowhere else'
        : 'HAProxy listens on the tailnet address, and nowhere else',
    // A socket stays when its address goes, and nobody reaches it.
    needs: ['tailscale.up', 'haproxy.service'],
    async check(look) {
      const all = everyListener(gatewayOf(machine, setup))
      const without6 = (await runningIpv6(look)) === 'off'
      const wanted = all.flatMap(({ name, addresses, port }) =>
        addresses
          .filter((address) => !(without6 && name.startsWith('tailnet') && address.includes(':')))
          .map((address) => ({ address, port })),
      )
      const found = await Promise.all([...new Set(all.map(({ port }) => port))].map((port) => listeners(look, port)))
      const facts = found.flat().filter((fact) => fact.command?.includes('haproxy'))
      const at = (one: Place) => (two: Place) => one.address === two.address && one.port === two.port
      const known = all.flatMap(({ addresses, port }) => addresses.map((address) => ({ address, port })))
      const strange = facts.filter((fact) => !known.some(at(fact)))
      const absent = wanted.filter((place) => !facts.some(at(place)))
      if (absent.length)
        return missed(
          `nothing of HAProxy on ${absent.map(({ address, port }) => (further(machine, setup).length > 0 ? `${address} port ${port}` : address)).join(', ')}`,
          restart(machine),
        )
      return strange.length
        ? missed(`HAProxy listens elsewhere, too: ${strange.map(describe).join(', ')}`, restart(machine))
        : ok(facts.map(describe).join(', '))
    },
  }
}

/** Two HAProxies share a port silently; the pid of the listener must be the worker that answers on our socket. */
function bySockets(machine: Machine, setup: Setup): Check {
  return {
    id: 'haproxy.listener-pid',
    title: 'The listener is the worker that answers on our socket',
    needs: ['haproxy.listens'],
    async check(look) {
      const worker = await workerInfo(look)
      const job = await jobsOf(machine).job(look, labels(machine).gateway)
      const pids = new Set(
        (await listeners(look, setup.settings.port))
          .filter((fact) => fact.address === machine.tailscale.ipv4)
          .map((fact) => fact.pid),
      )
      const known = [...pids].every((pid) => pid === worker?.pid || pid === job?.pid)
      return known && pids.size > 0
        ? ok(`worker ${worker?.pid}, job ${job?.pid}`)
        : missed(
            `processes ${[...pids].join(', ')} listen, and ours is ${worker?.pid}`,
            `Another HAProxy shares the port; find it (${platformOf(look).listeners.typed(setup.settings.port)}) and stop it.`,
          )
    },
  }
}

/** An Ollama has no /healthz; the gateway has. */
function answersItself(machine: Machine, setup: Setup): Check {
  return {
    id: 'haproxy.identity',
    title: 'It is the gateway that answers, not an Ollama',
    needs: ['tailscale.up', 'haproxy.service'],
    async check(look) {
      const address = machine.tailscale.ipv4
      if (!address) return skipped('no tailnet address')
      const { port } = setup.settings
      const answer = await look.probe({
        address,
        port,
        method: 'DELETE',
        target: '/api/delete',
        headers: { host: `${address}:${port}` },
      })
      const fingerprint = (await runningFingerprint(look))?.slice(0, 12)
      return answer.status === 403 && answer.body.includes('Gateway: ')
        ? ok(`fingerprint ${fingerprint}; it refuses /api/delete`)
        : missed(`DELETE /api/delete got ${answer.status}`, 'Stop what listens there.')
    },
  }
}

/** The source guard trusts 100.64.0.0/10; a network of that number beside the tunnel could pass it, and a Mac has no rule against that. */
function noForgery(machine: Machine): Check {
  return {
    id: 'isolation.no-carrier-network',
    title: 'No other network here is numbered like a tailnet',
    async check() {
      const others = machine.addresses.filter(
        ({ address, device }) => isTailnet4(address) && !platformOf(machine).addresses.isTunnel(device),
      )
      return others.length === 0
        ? ok('100.64.0.0/10 is the tunnel’s alone')
        : missed(
            `an address of Tailscale’s range is not Tailscale’s: ${others.map(({ address, device }) => `${address} on ${device}`).join(', ')}`,
            `Its neighbours look like tailnet devices; leave that network, or switch the gateway off: ${jobsOf(machine).typed.stop(labels(machine).gateway)}`,
          )
    },
  }
}

/** Ollama itself refuses a MagicDNS name; through the gateway it must work. */
function throughMagicName(machine: Machine, setup: Setup): Check {
  return {
    id: 'haproxy.magic-name',
    title: 'The MagicDNS name works as Host',
    needs: ['tailscale.up', 'haproxy.service'],
    async check(look) {
      const { ipv4, name } = machine.tailscale
      if (!ipv4 || !name) return skipped('this machine has no MagicDNS name')
      const { port } = setup.settings
      const answer = await look.probe({
        address: ipv4,
        port,
        method: 'GET',
        target: '/api/version',
        headers: { host: `${name}:${port}` },
      })
      // Whatever else becomes of the request: a Host that the gateway does not know gets 421, or 400 where HAProxy refuses its form.
      return [0, 400, 421].includes(answer.status)
        ? missed(`a request with ${name} as Host got ${answer.status || answer.error}`, unexplained)
        : ok(`http://${name}:${port}`)
    },
  }
}

/** Every file that the project wrote and others must not read. */
export function files(machine: Machine, setup: Setup): Check[] {
  const at = places(machine)
  return [
    {
      id: 'files.private',
      title: 'Settings, keys, state and configuration are for their owner alone',
      async check(look) {
        // Without the proxy a configuration that lies there is somebody else's.
        const paths = [
          ...(at.given ? [] : [at.settings]),
          at.keys,
          at.receipt,
          ...(setup.mode === 'proxy' ? [at.config] : []),
        ]
        const facts = await Promise.all(paths.map(async (path) => [path, (await look.stat(path))?.mode] as const))
        const open = facts.filter(([, mode]) => mode !== undefined && (mode & 0o077) !== 0)
        return open.length
          ? missed(
              open.map(([path, mode]) => `${path} has mode ${mode?.toString(8)}`).join(', '),
              `chmod 600 ${open.map(([path]) => `'${path}'`).join(' ')}`,
            )
          : ok('mode 600')
      },
    },
  ]
}
