import { gatewayOf } from '../gateway/of-site.ts'
import type { Look } from '../host/host.ts'
import { leads, passesOn } from '../platform/forwarders.ts'
import { jobsOf, labels, places, platformOf } from '../platform/here.ts'
import { ancestry, describe, isLoopback, type ListenerFact, type Process } from '../platform/platform.ts'
import { reachableAs, typedTailscale } from '../platform/tailscale.ts'
import { type Destination, destination, off, type Served } from '../platform/tailscale-serve.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { advice, type Check, type Finding, missed, ok, skipped } from '../steps/step.ts'

/** What others would reach; `control` is HAProxy's own socket. */
type Reached = 'Ollama' | 'the gateway' | 'control'

/** A way in beside the gateway, or round one of its guards. */
interface Way {
  to: Reached
  /** the whole of it in one clause */
  saw: string
  /** what ends it */
  end: string
}

/** Ways to Ollama past the gateway, and ways to the gateway round its guards: none may go unseen. */
export const ways = (machine: Machine, setup: Setup): Check[] => [
  byTailscale(machine, setup),
  byPrograms(machine, setup),
]

const ofMachine = new Set(['localhost', 'ip6-localhost', '', '*', '::', '0.0.0.0'])

/** What answers at a destination; undefined when it is neither of ours, or on another machine. */
export function reached(machine: Machine, setup: Setup, to: Destination | 'any'): Reached | undefined {
  if (to === 'any') return 'Ollama'
  if ('socket' in to) return to.socket.startsWith(`${places(machine).run}/`) ? 'control' : undefined
  const { name, hostName = '' } = machine.tailscale
  const listeners = setup.mode === 'proxy' ? gatewayOf(machine, setup).listeners : []
  const { port, engine } = setup.settings
  const onTailnet = [
    ...(listeners[0]?.addresses ?? []),
    name?.toLowerCase(),
    name?.split('.')[0]?.toLowerCase(),
  ].includes(to.host)
  const here =
    onTailnet ||
    isLoopback(to.host) ||
    ofMachine.has(to.host) ||
    to.host.endsWith('.localhost') ||
    [hostName.toLowerCase(), `${hostName.toLowerCase()}.local`].includes(to.host) ||
    machine.addresses.some(({ address }) => address === to.host)
  if (!here) return undefined
  if (listeners.some((one) => one.port === to.port && one.addresses.includes(to.host))) return 'the gateway'
  if (setup.mode === 'proxy' && onTailnet && to.port === port) return 'the gateway'
  if (to.port === engine.port) return 'Ollama'
  return setup.mode === 'proxy' && to.port === port ? 'the gateway' : undefined
}

/** What a port answers like, without asking for anything: Ollama’s first page, or a refusal of the gateway’s. */
async function answersLike(look: Look, address: string, port: number): Promise<Reached | undefined> {
  const headers = { host: `${address.includes(':') ? `[${address}]` : address}:${port}` }
  const ask = (target: string) => look.probe({ address, port, method: 'GET', target, headers, timeoutMs: 1000 })
  const first = await ask('/')
  if (/^Ollama is running/.test(first.body)) return 'Ollama'
  if (first.body.includes('Gateway: ')) return 'the gateway'
  if (first.status === 0) return undefined
  const version = await ask('/api/version')
  if (!/^\s*\{\s*"version"\s*:\s*"\d/.test(version.body)) return undefined
  // Only the gateway knows this path by no method but one.
  return (await ask('/api/delete')).body.includes('Gateway: ') ? 'the gateway' : 'Ollama'
}

function byTailscale(machine: Machine, setup: Setup): Check {
  return {
    id: 'isolation.served',
    title: 'tailscale serve and funnel lead nobody past the gateway',
    async check(look) {
      const { serves, state } = machine.tailscale
      if (state === 'absent') return ok('Tailscale is not installed')
      if (serves === undefined) return skipped('`tailscale serve status --json` does not tell')
      const found = await Promise.all(serves.map((one) => servedWay(look, machine, setup, one)))
      return judged(
        found.flatMap((way) => way ?? []),
        serves.length === 0 ? 'nothing is served' : `${serves.length} served, and none of it leads there`,
      )
    },
  }
}

async function servedWay(look: Look, machine: Machine, setup: Setup, one: Served): Promise<Way | undefined> {
  const to = one.target === undefined ? undefined : destination(one.target)
  if (to === undefined) return undefined
  const there = 'host' in to && isLoopback(to.host) ? answersLike(look, to.host, to.port) : undefined
  const reaches = reached(machine, setup, to) ?? (await there)
  if (reaches === undefined) return undefined
  const who = one.funnel ? 'tailscale funnel (anybody on the internet)' : 'tailscale serve'
  const where = `${one.service ? `${one.service}, ` : ''}port ${one.port}${one.mount && one.mount !== '/' ? one.mount : ''}`
  return {
    to: reaches,
    saw: `${who} leads ${where} to ${whose(reaches)} at ${one.target}`,
    end: off(one, typedTailscale(machine.tailscale)),
  }
}

const whose = (to: Reached): string =>
  to === 'control' ? 'HAProxy’s own socket' : to === 'Ollama' ? 'Ollama itself' : to

/** Everybody comes by this Mac’s own address there, which is of the tailnet and no person’s. */
const round =
  'whoever comes that way has this machine’s own address, so the guard by source lets everybody in, and rules for people, limits and bans by address take them all for this machine'

function judged(found: Way[], otherwise: string): Finding {
  const past = found.filter(({ to }) => to !== 'the gateway')
  const shown = past.length > 0 ? past : found
  const saw = [...new Set(shown.map((way) => way.saw))].join('; ')
  const remedy = [...new Set(shown.map(({ end }) => end))].join(' && ')
  if (past.length > 0) return missed(`${saw}: past the gateway, every endpoint is open there`, remedy)
  return found.length > 0 ? advice(`${saw}: ${round}`, `If that is not meant: ${remedy}`) : ok(otherwise)
}

/** Processes by which our jobs work. */
async function ours(look: Look, machine: Machine, all: Process[]): Promise<(pid: number) => boolean> {
  const jobs = jobsOf(machine)
  const labelled = [labels(machine).engine, labels(machine).gateway, labels(machine).observer]
  const pids = await Promise.all(labelled.map(async (label) => (await jobs.job(look, label))?.pid))
  return (pid) => ancestry(all, pid).some((one) => pids.includes(one.pid))
}

/** What root has on these ports is no web server. */
const systemPorts = new Set([22, 53, 88, 445, 548, 631, 3283, 5900])

function byPrograms(machine: Machine, setup: Setup): Check {
  return {
    id: 'isolation.forwards',
    title: 'No program here leads others past the gateway',
    async check(look) {
      const { listeners, processes } = platformOf(machine)
      const all = await processes.all(look)
      const isOurs = await ours(look, machine, all)
      const others = all.filter(({ pid }) => !isOurs(pid))
      const open = (await listeners.everywhere(look)).filter(
        ({ address, pid }) => !isLoopback(address) && (pid === undefined || !isOurs(pid)),
      )
      const named = others.flatMap((process) => saidWays(machine, setup, process))
      const answering = await Promise.all(open.map((one) => answeringWay(look, machine, setup, one, others)))
      const connected = await connectedWays(look, machine, setup, others, open)
      const found = once([...named, ...answering.flatMap((way) => way ?? []), ...connected.past])
      const ended = found.map(async (way) => ({ ...way, end: way.end ?? (await endOf(look, machine, all, way.pid)) }))
      const finding = judged(await Promise.all(ended), 'none that shows')
      return finding.is === 'ok' && connected.uses.length > 0
        ? advice(
            `${connected.uses.join('; ')}: what it lets others do with Ollama is its own affair`,
            `Have it ask the gateway instead: http://${reachableAs(machine.tailscale) ?? 'HOST'}:${setup.settings.port}`,
          )
        : finding
    },
  }
}

/** A way by a program, which ends with that. */
type ByProgram = Omit<Way, 'end'> & ({ pid: number; end?: undefined } | { pid?: undefined; end: string })

/** What ends a process for good, by whoever would start it again. */
async function endOf(look: Look, machine: Machine, all: Process[], pid: number): Promise<string> {
  const keeper = await platformOf(machine).keepers.of(look, machine, all, pid)
  const stop = keeper?.stop.map((argv) => argv.join(' ')).join('; ')
  return stop || keeper?.must || `kill ${pid}`
}

/** A program is told of once, by the first that was seen of it. */
const once = (found: ByProgram[]): ByProgram[] =>
  found.filter((way, at) => way.pid === undefined || found.findIndex((one) => one.pid === way.pid) === at)

const shortened = (args: string): string => (args.length > 120 ? `${args.slice(0, 120)}…` : args)

function saidWays(machine: Machine, setup: Setup, process: Process): ByProgram[] {
  const { pid, args } = process
  return leads(platformOf(machine).processes.name(process), args).flatMap((to) => {
    const reaches = reached(machine, setup, to)
    if (reaches === undefined) return []
    const saw = `process ${pid} (${shortened(args)}) leads others to ${whose(reaches)}`
    return [{ pid, to: reaches, saw }]
  })
}

async function answeringWay(
  look: Look,
  machine: Machine,
  setup: Setup,
  one: ListenerFact,
  others: Process[],
): Promise<ByProgram | undefined> {
  const { port, engine } = setup.settings
  const { listeners, processes } = platformOf(machine)
  const process = others.find(({ pid }) => pid === one.pid)
  const served = machine.tailscale.serves?.some((serve) => serve.port === one.port)
  // The ports themselves have a check of their own.
  if ([port, engine.port].includes(one.port) || served || (process && processes.isSystem(process))) return undefined
  if (one.pid === undefined && systemPorts.has(one.port)) return undefined
  const address = one.address === '*' ? (ownAddress(machine) ?? '127.0.0.1') : one.address
  const to = await answersLike(look, address, one.port)
  if (to === undefined) return undefined
  const way = { to, saw: `${describe(one)} port ${one.port} leads others to ${whose(to)}` }
  return one.pid === undefined
    ? { ...way, end: `find it: sudo ${listeners.typed(one.port)}; then stop it` }
    : { ...way, pid: one.pid }
}

const ownAddress = (machine: Machine): string | undefined =>
  machine.addresses.find(({ address, family }) => family === 4 && !isLoopback(address))?.address

/** Who holds a connection to Ollama: programs that pass requests on, and programs that use it and are open to others. */
async function connectedWays(
  look: Look,
  machine: Machine,
  { settings }: Setup,
  others: Process[],
  open: ListenerFact[],
): Promise<{ past: ByProgram[]; uses: string[] }> {
  const { listeners, processes } = platformOf(machine)
  const pids = new Set((await listeners.connected(look, settings.engine.port)).map(({ pid }) => pid))
  const found = others.filter(({ pid }) => pids.has(pid))
  const past = found.filter((process) => passesOn(processes.name(process)))
  const uses = found.flatMap((process) => {
    const near = [
      ...ancestry(others, process.pid)
        .slice(0, 2)
        .map(({ pid }) => pid),
    ]
    const at = open.find(({ pid }) => pid !== undefined && near.includes(pid))
    if (!at || past.includes(process)) return []
    return [`${describe(at)} port ${at.port} uses Ollama past the gateway and is open to others`]
  })
  return {
    past: past.map((process) => ({
      pid: process.pid,
      to: 'Ollama' as const,
      saw: `process ${process.pid} (${shortened(process.args)}) passes requests on to Ollama itself`,
    })),
    uses: [...new Set(uses)],
  }
}
