import { z } from 'zod'
import { json } from '../host/command.ts'

/** What `tailscale serve` or `tailscale funnel` does with requests to one port, or to one path of it. */
export interface Served {
  port: number
  how: 'tcp' | 'tls-terminated-tcp' | 'http' | 'https'
  /** the path of a web handler */
  mount?: string
  /** where it leads, as written; none for texts and files */
  target?: string
  /** the service whose own address it answers on; else this machine's */
  service?: string
  /** it lives as long as the command that runs in some terminal */
  foreground: boolean
  /** the internet is let in, too */
  funnel: boolean
}

/** The file's form (tailscale: ipn/serve.go). */
const handler = z.object({
  HTTP: z.boolean().nullish(),
  TCPForward: z.string().nullish(),
  TerminateTLS: z.string().nullish(),
})
const mounts = z.object({
  Handlers: z.record(z.string(), z.object({ Proxy: z.string().nullish() }).nullish()).nullish(),
})
const ports = z.object({
  TCP: z.record(z.string(), handler.nullish()).nullish(),
  Web: z.record(z.string(), mounts.nullish()).nullish(),
})
const config = ports.extend({
  AllowFunnel: z.record(z.string(), z.boolean()).nullish(),
  Services: z.record(z.string(), ports.nullish()).nullish(),
})
const whole = config.extend({ Foreground: z.record(z.string(), config.nullish()).nullish() }).nullable()

type Ports = z.infer<typeof ports>
type Config = z.infer<typeof config>

/** Everything that `tailscale serve status --json` tells of, sessions in terminals and services included; undefined when it is beyond reading. */
export function parseServe(text: string): Served[] | undefined {
  const { success, data } = whole.safeParse(json(text))
  if (!success) return undefined
  if (data === null) return []
  const sessions = Object.values(data.Foreground ?? {}).flatMap((one) => of(one ?? {}, data, true))
  return [...of(data, data, false), ...sessions].sort((one, other) => one.port - other.port)
}

function of(held: Config, all: Config, foreground: boolean): Served[] {
  const open = Object.entries({ ...all.AllowFunnel, ...held.AllowFunnel }).flatMap(([at, on]) =>
    on ? [portOf(at)] : [],
  )
  const own = served(held).map((one) => ({ ...one, foreground, funnel: open.includes(one.port) }))
  const services = Object.entries(held.Services ?? {}).flatMap(([service, one]) =>
    served(one ?? {}).map((each) => ({ ...each, service, foreground, funnel: false })),
  )
  return [...own, ...services]
}

type Place = Pick<Served, 'port' | 'how' | 'mount' | 'target'>

function served({ TCP, Web }: Ports): Place[] {
  const tcp = Object.entries(TCP ?? {})
  const plain = new Set(tcp.flatMap(([port, one]) => (one?.HTTP ? [Number(port)] : [])))
  const web = Object.entries(Web ?? {}).flatMap(([at, one]) =>
    Object.entries(one?.Handlers ?? {}).map(([mount, to]): Place => {
      const port = portOf(at)
      return { port, how: plain.has(port) ? 'http' : 'https', mount, target: to?.Proxy ?? undefined }
    }),
  )
  const shown = new Set(web.map(({ port }) => port))
  const rest = tcp.flatMap(([port, one]): Place[] => {
    const target = one?.TCPForward || undefined
    if (target === undefined && shown.has(Number(port))) return []
    const how = target === undefined ? (one?.HTTP ? 'http' : 'https') : one?.TerminateTLS ? 'tls-terminated-tcp' : 'tcp'
    return [{ port: Number(port), how, target }]
  })
  return [...web, ...rest]
}

const portOf = (at: string): number => Number(at.split(':').pop())

/** What ends it: the command, or what is to be done where it runs in a terminal. */
export function off({ port, how, mount, service, foreground, funnel }: Served, cli: string): string {
  const verb = funnel ? 'funnel' : 'serve'
  if (foreground) return `press Ctrl-C where \`tailscale ${verb}\` runs in a terminal`
  const path = mount === undefined || mount === '/' ? [] : [`--set-path=${mount}`]
  return [cli, verb, ...(service ? [`--service=${service}`] : []), `--${how}=${port}`, ...path, 'off'].join(' ')
}

/** Where a forward leads: a port of some host, or a socket of this machine. */
export type Destination = { host: string; port: number } | { socket: string }

const defaults: Record<string, number> = { http: 80, https: 443, 'https+insecure': 443 }

/** Reads `3000`, `localhost:3000`, `http://[::1]:3000/path`, `https+insecure://…`, `tcp://…`, `unix:/path`; hosts in their shortest form. Undefined for anything else. */
export function destination(target: string): Destination | undefined {
  const socket = /^unix:(?:\/\/)?(\/.*)$/.exec(target)?.[1]
  if (socket) return { socket }
  if (/^\d+$/.test(target)) return { host: '127.0.0.1', port: Number(target) }
  const [, scheme = '', rest = ''] = /^(?:([a-z+-]+):\/\/)?(?:[^/@]*@)?([^/?#]*)/i.exec(target) ?? []
  // An IPv6 address is also written without brackets before its port (tailscale: ipn/serve.go).
  const [, host = rest, port] = /^(.*):(\d+)$/.exec(rest) ?? []
  const number = port === undefined ? defaults[scheme.toLowerCase()] : Number(port)
  return number === undefined ? undefined : { host: plainHost(host), port: number }
}

/** One form for one address: `127.1`, `[::ffff:127.0.0.1]` and `0` have others; a name in small letters. */
function plainHost(text: string): string {
  const bare = text
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase()
  const url = `http://${bare.includes(':') ? `[${bare}]` : bare}`
  const host = URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : bare
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(host) ?? []
  if (high === undefined || low === undefined) return host
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [first >> 8, first & 255, second >> 8, second & 255].join('.')
}
