import { once } from 'node:events'
import type { Box, TailscaleMac } from '../box.ts'
import { complain, say } from '../system.ts'
import { fullName, ownAddresses } from './status.ts'

interface Ports {
  TCP?: Record<string, { TCPForward?: string; TerminateTLS?: string; HTTPS?: boolean; HTTP?: boolean }>
  Web?: Record<string, { Handlers?: Record<string, { Proxy?: string; Path?: string; Text?: string }> }>
}

interface Served extends Ports {
  AllowFunnel?: Record<string, boolean>
  Services?: Record<string, Ports>
  Foreground?: Record<string, Served>
}

function domain(tailscale: TailscaleMac): string {
  return fullName(tailscale.hostName, tailscale).slice(0, -1)
}

function ends(tailscale: TailscaleMac, port: string): string[] {
  const hosts = [domain(tailscale), ...(ownAddresses(tailscale) ?? [])]
  return hosts.map((host) => `|-- tcp://${host.includes(':') ? `[${host}]` : host}:${port}`)
}

function webText([place, { Handlers = {} }]: [string, { Handlers?: Record<string, { Proxy?: string }> }]): string {
  const [host = '', port = ''] = place.split(':')
  const short = host.split('.')[0]
  const shown = { 443: [`https://${host}`], 80: [`http://${short}`, `http://${host}`] }[port]
  const heads = (shown ?? [`https://${place}`]).map((url) => `${url} (tailnet only)`)
  return [...heads, ...Object.entries(Handlers).map(([path, { Proxy: to }]) => `|-- ${path} proxy ${to}`)].join('\n')
}

function statusText(tailscale: TailscaleMac): string {
  const { TCP = {}, Web = {} } = tailscale.serve as Served
  const tcp = Object.entries(TCP).flatMap(([port, { TCPForward }]) => {
    if (TCPForward === undefined) return []
    const [first = '', ...others] = ends(tailscale, port)
    return [[`${first} (tailnet only)`, ...others, `|--> tcp://${TCPForward}`].join('\n')]
  })
  const all = [...tcp, ...Object.entries(Web).map((entry) => webText(entry))]
  return all.length > 0 ? all.join('\n\n') : 'No serve config'
}

function status(tailscale: TailscaleMac, json: boolean): number {
  return say(json ? JSON.stringify(tailscale.serve, null, 2) : statusText(tailscale))
}

interface Order {
  verb: 'serve' | 'funnel'
  how: 'tcp' | 'tls-terminated-tcp' | 'http' | 'https'
  port: string
  mount: string
  service: string | undefined
  /** without it a session lasts as long as the command (`serve --help`) */
  background: boolean
  target: string
}

/** `tailscale serve` alone means https on port 443 below `/`. */
function parse(verb: Order['verb'], argv: string[]): Order {
  const value = (name: string) => argv.map((word) => new RegExp(`^--${name}=(.+)$`).exec(word)?.[1]).find(Boolean)
  const how = (['tcp', 'tls-terminated-tcp', 'http'] as const).find((name) => value(name) !== undefined) ?? 'https'
  const service = value('service')
  return {
    ...{ verb, how, service, port: value(how) ?? '443', mount: value('set-path') ?? '/' },
    background: argv.includes('--bg') || service !== undefined,
    target: argv.at(-1) ?? '',
  }
}

const compact = <T extends object>(held: T): T =>
  Object.fromEntries(
    Object.entries(held).filter(([, value]) => value !== undefined && Object.keys(value).length > 0),
  ) as T

/** A bare port and a host without a scheme become an address (ipn/serve.go, ExpandProxyTargetValue). */
const expanded = (target: string): string =>
  /^\d+$/.test(target)
    ? `http://127.0.0.1:${target}`
    : target.includes('://') || target.startsWith('unix:')
      ? target
      : `http://${target}`

function added(held: Ports, order: Order, name: string): Ports {
  const { how, port, mount, target } = order
  const at = `${name}:${port}`
  if (how === 'tcp' || how === 'tls-terminated-tcp') {
    const to = { TCPForward: target.replace(/^tcp:\/\//, ''), ...(how === 'tcp' ? {} : { TerminateTLS: name }) }
    return { ...held, TCP: { ...held.TCP, [port]: to } }
  }
  const handlers = { ...held.Web?.[at]?.Handlers, [mount]: { Proxy: expanded(target) } }
  return {
    TCP: { ...held.TCP, [port]: how === 'http' ? { HTTP: true } : { HTTPS: true } },
    Web: { ...held.Web, [at]: { Handlers: handlers } },
  }
}

/** What is left when one place of it was switched off; undefined when nothing is there. */
function without(held: Ports, { how, port, mount }: Order): Ports | undefined {
  const web = Object.entries(held.Web ?? {}).find(([at]) => at.endsWith(`:${port}`))
  const tcp = how.endsWith('tcp')
  if (!held.TCP?.[port] || tcp === (web !== undefined) || (web && !web[1].Handlers?.[mount])) return undefined
  const { [mount]: _gone, ...handlers } = web?.[1].Handlers ?? {}
  const stays = Object.keys(handlers).length > 0
  const { [port]: _freed, ...rest } = held.TCP
  const { [web?.[0] ?? '']: _web, ...others } = held.Web ?? {}
  return compact({
    TCP: stays ? held.TCP : rest,
    Web: stays && web ? { ...others, [web[0]]: { Handlers: handlers } } : others,
  })
}

const placeOf = (served: Served, { service }: Order): Ports =>
  service === undefined ? served : (served.Services?.[service] ?? {})

function put(served: Served, { service }: Order, ports: Ports): Served {
  const { TCP, Web, ...rest } = served
  if (service === undefined) return compact({ ...rest, ...ports })
  return compact({ ...rest, TCP, Web, Services: compact({ ...served.Services, [service]: ports }) })
}

function switchOff(box: Box, order: Order): number {
  const served = box.mac.tailscale.serve as Served
  const left = without(placeOf(served, order), order)
  if (!left)
    return complain(
      order.how.endsWith('tcp')
        ? 'error: failed to remove TCP serve: handler does not exist'
        : 'error: failed to remove web serve: handler does not exist',
    )
  const funnels = Object.entries(served.AllowFunnel ?? {}).filter(([at]) => !at.endsWith(`:${order.port}`))
  box.save(({ tailscale }) => {
    tailscale.serve = { ...put({ ...served, AllowFunnel: Object.fromEntries(funnels) }, order, left) }
  })
  return 0
}

function shown(box: Box, { verb, how, port, target }: Order): string {
  const to = how.endsWith('tcp') ? [`|--> ${target}`] : [`|-- / proxy ${expanded(target)}`]
  const at = how.endsWith('tcp') ? ends(box.mac.tailscale, port) : [`${how}://${domain(box.mac.tailscale)}:${port}/`]
  return [
    verb === 'serve' ? 'Available within your tailnet:' : 'Available on the internet:',
    '',
    ...at,
    ...to,
    '',
  ].join('\n')
}

async function start(box: Box, order: Order): Promise<number> {
  const name = domain(box.mac.tailscale)
  const grown = (served: Served): Served => {
    const next = put(served, order, added(placeOf(served, order), order, name))
    return order.verb === 'funnel'
      ? { ...next, AllowFunnel: { ...next.AllowFunnel, [`${name}:${order.port}`]: true } }
      : next
  }
  const title = order.verb === 'serve' ? 'Serve' : 'Funnel'
  const session = `${process.pid}`
  box.save(({ tailscale }) => {
    const served = tailscale.serve as Served
    tailscale.serve = order.background
      ? { ...grown(served) }
      : { ...served, Foreground: { ...served.Foreground, [session]: grown({}) } }
  })
  say(shown(box, order))
  if (order.background)
    return say(
      `${title} started and running in the background.\nTo disable the proxy, run: tailscale ${order.verb} --${order.how}=${order.port} off`,
    )
  say('Press Ctrl+C to exit.')
  await lasting()
  box.save(({ tailscale }) => {
    const { [session]: _gone, ...others } = (tailscale.serve as Served).Foreground ?? {}
    tailscale.serve = { ...compact({ ...tailscale.serve, Foreground: others }) }
  })
  return 0
}

async function lasting(): Promise<void> {
  const keep = setInterval(() => {}, 60_000)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  clearInterval(keep)
}

/** tailscale serve and funnel: status, a port or path to a target, `off`, `clear SERVICE`, reset. It takes a port that another program holds, without a word. */
export function serve(argv: string[], box: Box, verb: Order['verb'] = 'serve'): number | Promise<number> {
  const { tailscale } = box.mac
  if (argv[0] === 'status') return status(tailscale, argv.includes('--json'))
  const served = tailscale.serve as Served
  if (argv[0] === 'reset' || argv[0] === 'clear') {
    const { [argv[1] ?? '']: _gone, ...Services } = served.Services ?? {}
    box.save((mac) => {
      mac.tailscale.serve = argv[0] === 'reset' ? {} : { ...compact({ ...served, Services }) }
    })
    return 0
  }
  const order = parse(verb, argv)
  if (order.target === '' || order.target.startsWith('--')) return complain('error: invalid argument format')
  return order.target === 'off' ? switchOff(box, order) : start(box, order)
}
