import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { Box, TailscaleMac } from './box.ts'
import { complain, say } from './system.ts'
import { down, logout, option, refusal, up } from './tailscale/login.ts'
import { serve } from './tailscale/serve.ts'
import { fullName, ownAddresses, statusJson, statusText } from './tailscale/status.ts'
import { findPeer, whoisJson, whoisText } from './tailscale/whois.ts'

/** What a Mac's command says when nobody answers it (safesocket_darwin.go). */
const unreachable =
  'Failed to connect to local Tailscale daemon for /localapi/v0/status; not running? Error: dial tcp 127.0.0.1:0: connect: connection refused'

function status(argv: string[], box: Box): number {
  const { tailscale } = box.mac
  const withPeers = !argv.includes('--peers=false')
  if (argv.includes('--json')) return say(JSON.stringify(statusJson(tailscale, withPeers), null, 2))
  const { text, code } = statusText(tailscale, withPeers)
  say(text)
  return code
}

/** It answers from the record: also when Stopped, expired or unapproved. */
function ip(argv: string[], box: Box): number {
  const { tailscale } = box.mac
  const name = argv.find((word) => !word.startsWith('-'))
  const peer =
    name === undefined ? undefined : tailscale.peers.find(({ hostName, ipv4 }) => hostName === name || ipv4 === name)
  if (name !== undefined && !peer) return complain(`error resolving "${name}": no such host`)
  const all = peer ? [peer.ipv4, peer.ipv6 ?? ''] : (ownAddresses(tailscale) ?? [])
  const wanted = all.filter((address) =>
    argv.includes('-4') ? !address.includes(':') : argv.includes('-6') ? address.includes(':') : true,
  )
  if (wanted.length === 0) return complain(`no current Tailscale IPs; state: ${tailscale.state}`)
  return say((argv.includes('-1') ? wanted.slice(0, 1) : wanted).join('\n'))
}

function version(argv: string[], box: Box): number {
  const { version: short, daemon: answers } = box.mac.tailscale
  const form = { majorMinorPatch: short, short, long: short, cap: 142 }
  if (argv.includes('--daemon') && !answers) return complain(unreachable)
  if (argv.includes('--json')) return say(JSON.stringify(form, null, '\t'))
  const own = `${short}\n  long version: ${short}\n  go version: go1.26.8`
  return say(argv.includes('--daemon') ? `Client: ${own}\nDaemon: ${short}` : own)
}

function whois(argv: string[], box: Box): number {
  const { tailscale } = box.mac
  const peer = findPeer(argv.find((word) => !word.startsWith('-')) ?? '', tailscale)
  if (!peer) return complain('peer not found')
  return say(argv.includes('--json') ? JSON.stringify(whoisJson(peer, tailscale), null, 2) : whoisText(peer, tailscale))
}

/** Why this name gets none; in tailscaled's words (ipn/localapi/cert.go, tailscale/tailscale#7358). */
function certFault(name: string, { hostName, certDomains, ...tailscale }: TailscaleMac): string | undefined {
  const domains = certDomains ?? [fullName(hostName, { ...tailscale, hostName }).replace(/\.$/, '')]
  if (domains.length === 0) return 'your Tailscale account does not support getting TLS certs'
  if (!domains.includes(name))
    return `invalid domain ${JSON.stringify(name)}; must be one of ${JSON.stringify(domains)}`
  return undefined
}

const hoursLeft = (pem: string): number => (Date.parse(new X509Certificate(pem).validTo) - Date.now()) / 3_600_000

/** The first certificate that lasts as long as is asked for; both files to standard output by `-`. */
function cert(argv: string[], box: Box): number {
  const { tailscale } = box.mac
  const [least = 0] = [option(argv, 'min-validity')].flatMap((text) => (text ? [Number.parseFloat(text)] : []))
  if (least > 0 && Number(tailscale.version.split('.')[1]) < 72)
    return complain('flag provided but not defined: -min-validity')
  const name = argv.find((word) => !word.startsWith('-'))
  if (name === undefined) return complain('Usage: tailscale cert DOMAIN')
  if (!ownAddresses(tailscale)) return complain('500 Internal Server Error: no netmap available')
  const fault = certFault(name, tailscale)
  if (fault) return complain(`500 Internal Server Error: ${fault}`)
  const host = 'acme-v02.api.letsencrypt.org'
  const lookup = `dial tcp: lookup ${host} on 100.100.100.100:53: server misbehaving`
  const found = tailscale.certificates?.find(({ chain }) => hoursLeft(chain) >= least)
  if (!found) return complain(`500 Internal Server Error: acme.GetReg: Get "https://${host}/directory": ${lookup}`)
  for (const [what, text] of [['cert-file', found.chain] as const, ['key-file', found.key] as const]) {
    const file = option(argv, what)
    if (file === '-') process.stdout.write(text)
    else writeFileSync(file ?? `${name}.${what === 'key-file' ? 'key' : 'crt'}`, text, { mode: 0o600 })
  }
  return 0
}

function set(argv: string[], box: Box): number {
  const hostName = option(argv, 'hostname')
  if (hostName !== undefined) {
    box.save(({ tailscale }) => {
      tailscale.hostName = hostName
    })
  }
  return 0
}

function ping(argv: string[], box: Box): number {
  const name = argv.at(-1) ?? ''
  const peer = box.mac.tailscale.peers.find(({ hostName, ipv4 }) => hostName === name || ipv4 === name)
  if (!peer) return complain(`error resolving "${name}": no such host`)
  return say(`pong from ${peer.hostName} (${peer.ipv4}) via DERP(${box.mac.tailscale.relay}) in 1ms`)
}

function prefs({ state, hostName }: TailscaleMac): object {
  return {
    ControlURL: 'https://controlplane.tailscale.com',
    WantRunning: state !== 'Stopped',
    Hostname: hostName,
    ShieldsUp: false,
  }
}

const verbs: Record<string, (argv: string[], box: Box) => Promise<number> | number> = {
  status,
  ip,
  whois,
  cert,
  ping,
  set,
  serve: (argv, box) => serve(argv, box),
  funnel: (argv, box) => serve(argv, box, 'funnel'),
  up: (argv, box) => refusal(argv, box) ?? up(argv, box),
  login: up,
  down: (_argv, box) => down(box),
  logout: (_argv, box) => logout(box),
  debug: (argv, box) => (argv[0] === 'prefs' ? say(JSON.stringify(prefs(box.mac.tailscale), null, '\t')) : 0),
}

/** The tailscale command: it answers as the recorded real one does in each state. */
export async function main(argv: string[], box: Box): Promise<number> {
  const [verb = '', ...words] = argv
  if (verb === 'version' || verb === '--version') return version(words, box)
  const run = verbs[verb]
  if (!run) return complain(`tailscale: unknown subcommand: ${verb}`, verb === '' ? 0 : 1)
  if (box.mac.tailscale.daemon) return run(words, box)
  return complain(
    verb === 'status' ? 'failed to connect to local Tailscale service; is Tailscale running?' : unreachable,
  )
}

/** Whether the app's program finds itself called as a command: from a terminal, or told so (tailscale/tailscale#7140). */
function calledAsCommand(argv: string[]): boolean {
  const { TAILSCALE_BE_CLI, TERM, XPC_SERVICE_NAME = '0' } = process.env
  return TAILSCALE_BE_CLI === '1' || (argv.length > 0 && TERM !== undefined && XPC_SERVICE_NAME === '0')
}

/** The program inside Tailscale.app: a command in a terminal, the app elsewhere; its failure is told on stdout. */
export async function app(argv: string[], box: Box): Promise<number> {
  if (calledAsCommand(argv)) return main(argv, box)
  say('The Tailscale GUI failed to start: The operation couldn’t be completed. (Tailscale.CLIError error 3.)')
  return 1
}

/** tailscaled of the open source variant: the daemon answers as long as this runs. */
export async function daemon(_argv: string[], box: Box): Promise<number> {
  const answering = (answers: boolean) =>
    box.save(({ tailscale }) => {
      tailscale.daemon = answers
    })
  answering(true)
  const keep = setInterval(() => {}, 60_000)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  clearInterval(keep)
  answering(false)
  return 0
}
