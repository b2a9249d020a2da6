import { type Destination, destination } from './tailscale-serve.ts'

/** Programs that let others in from elsewhere, whose words name where they lead: `ngrok http 11434`, `caddy reverse-proxy --to …`. */
const leading = new Set(
  'socat caddy ngrok cloudflared frpc bore lt localtunnel chisel gost redir simpleproxy rathole zrok pinggy'.split(' '),
)

/** Programs that answer others with what they fetch elsewhere: a connection of theirs is somebody else's request. */
const passing = new Set([...leading, 'haproxy', 'nginx', 'httpd', 'traefik', 'envoy', 'ssh', 'sshd', 'sshd-session'])

/** Whether a connection of this program serves somebody else, and not itself. */
export const passesOn = (program: string): boolean => passing.has(program.toLowerCase())

/** Where the words of a running program say that it leads those who come in by it; `any` is wherever they like. */
export function leads(program: string, args: string): (Destination | 'any')[] {
  const words = args.split(/\s+/).slice(1)
  if (program === 'ssh') return bySsh(words)
  if (!leading.has(program)) return []
  return words.flatMap((word, at) => {
    if (/^-+(from|listen|bind)/.test(words[at - 1] ?? '')) return []
    const to = destination(program === 'socat' ? bySocat(word) : word.replace(/^-[^=]*=/, ''))
    return to && !('host' in to && to.host === '') ? [to] : []
  })
}

/** `TCP:host:port,option` and `UNIX-CONNECT:/path` (socat(1)). */
const bySocat = (word: string): string =>
  (word.split(',')[0] ?? '').replace(/^TCP[46]?(-CONNECT)?:/i, '').replace(/^UNIX(-CONNECT|-CLIENT)?:/i, 'unix:')

/** Options of ssh that take a value (ssh(1)). */
const valued = 'BbcDEeFIiJLlmOopQRSWw'

/** `-R` leads from the other machine to here; `-L` to there, which is here only when that machine is this one. */
function bySsh(words: string[]): (Destination | 'any')[] {
  const forwards: { flag: string; spec: string }[] = []
  const rest: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const [, flags = '', value = ''] = new RegExp(`^-([A-Za-z0-9]*?[${valued}])(.*)$`).exec(words[at] ?? '') ?? []
    const flag = flags.at(-1)
    if (flag === undefined) {
      if (!words[at]?.startsWith('-')) rest.push(words[at] ?? '')
      continue
    }
    const spec = value || (words[++at] ?? '')
    forwards.push(flag === 'o' ? option(spec) : { flag, spec })
  }
  const host = (rest[0] ?? '').replace(/^.*@/, '')
  const here = ['localhost', '127.0.0.1', '::1'].includes(host)
  return forwards.flatMap(({ flag, spec }): (Destination | 'any')[] => {
    if (flag === 'R' && /^([^:]*:)?\d+$/.test(spec)) return ['any']
    if (flag !== 'R' && !(flag === 'L' && here)) return []
    const to = /(?:^|:)((?:\[[^\]]+\]|[^:[\]]+):\d+)$/.exec(spec)?.[1]
    const found = to === undefined ? undefined : destination(to)
    return found ? [found] : []
  })
}

/** `-o RemoteForward=8080 localhost:11434` is `-R`. */
const option = (text: string): { flag: string; spec: string } => {
  const [, name = '', spec = ''] = /^(\w+)[=\s]\s*(.*)$/.exec(text) ?? []
  return { flag: /^remoteforward$/i.test(name) ? 'R' : '', spec: spec.replace(/\s+/, ':') }
}
