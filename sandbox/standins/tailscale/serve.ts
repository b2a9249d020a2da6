import type { Box, TailscaleMac } from '../box.ts'
import { complain, say } from '../system.ts'
import { fullName, ownAddresses } from './status.ts'

interface Served {
  TCP?: Record<string, { TCPForward?: string; HTTPS?: boolean; HTTP?: boolean }>
  Web?: Record<string, { Handlers?: Record<string, { Proxy?: string; Path?: string; Text?: string }> }>
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

function forward(box: Box, port: string, target: string): number {
  box.save(({ tailscale }) => {
    const served = tailscale.serve as Served
    tailscale.serve = { ...served, TCP: { ...served.TCP, [port]: { TCPForward: target.replace(/^tcp:\/\//, '') } } }
  })
  const lines = ['Available within your tailnet:', '', ...ends(box.mac.tailscale, port), `|--> ${target}`, '']
  const closing = [
    'Serve started and running in the background.',
    `To disable the proxy, run: tailscale serve --tcp=${port} off`,
  ]
  return say([...lines, ...closing].join('\n'))
}

function switchOff(box: Box, port: string): number {
  const { TCP = {}, Web } = box.mac.tailscale.serve as Served
  if (!TCP[port]) return complain('error: failed to remove TCP serve: handler does not exist')
  const { [port]: _gone, ...rest } = TCP
  const tcp = Object.keys(rest).length > 0 ? { TCP: rest } : {}
  box.save(({ tailscale }) => {
    tailscale.serve = { ...tcp, ...(Web ? { Web } : {}) }
  })
  return 0
}

/** tailscale serve: status, `--tcp=PORT TARGET`, `--tcp=PORT off`, reset. It takes a port that another program holds, without a word. */
export function serve(argv: string[], box: Box): number {
  const { tailscale } = box.mac
  if (argv[0] === 'status') return status(tailscale, argv.includes('--json'))
  if (argv[0] === 'reset') {
    box.save((mac) => {
      mac.tailscale.serve = {}
    })
    return 0
  }
  const port = argv.map((word) => /^--tcp=(\d+)$/.exec(word)?.[1]).find(Boolean)
  const target = argv.at(-1) ?? ''
  if (port === undefined) return complain('error: invalid argument format')
  return target === 'off' ? switchOff(box, port) : forward(box, port, target)
}
