import { isIP } from 'node:net'
import { type Directive, nginxDirectives } from './nginx-words.ts'

/** A node that an nginx upstream names. */
export interface Upstream {
  name: string
  address: string
  port: number
  /** its weight, where one was written */
  speed?: number
  /** it was marked `down` */
  down: boolean
}

/** A line that brought no node, and why. */
export interface Passed {
  line: string
  why: string
}

const ollama = 11434

/** `server ADDRESS[:PORT] …;` as nginx takes it (its ngx_http_upstream_module): IPv6 in brackets, port 80 unless told. Ollama's is meant here. */
function placeOf(word: string): { address: string; port: number } | undefined {
  const [, six, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]/]+))(?::(\d{1,5}))?$/.exec(word) ?? []
  const address = six ?? plain
  return address === undefined || word.startsWith('unix:') ? undefined : { address, port: Number(port ?? ollama) }
}

/** A name for a node: the first part of its host's, or by number. */
function nameFor(address: string, taken: Set<string>): string {
  const part = isIP(address) === 0 ? (address.split('.')[0] ?? '').toLowerCase() : ''
  const base = /^[a-z][a-z0-9-]{0,27}$/.test(part) && !/-(load|api)$/.test(part) && part !== 'here' ? part : 'node'
  const names = base === 'node' ? [] : [base]
  const found = [...names, ...Array.from({ length: 99 }, (_, at) => `${base}-${at + 1}`)].find((one) => !taken.has(one))
  return found ?? base
}

const words = { weight: /^weight=(\d{1,4})$/, down: /^down$/ }

/** Reads the servers of an nginx upstream (`upstream_ollama.conf`), inside its block or without one; every other line is told with its number. */
export function readUpstream(text: string, known: string[]): { nodes: Upstream[]; passed: Passed[] } {
  const taken = new Set(known)
  const nodes: Upstream[] = []
  const passed: Passed[] = []
  for (const directive of nginxDirectives(text)) {
    const why = reasonOf(directive)
    if (why === undefined) {
      const one = upstreamOf(directive, taken)
      taken.add(one.name)
      nodes.push(one)
    } else if (why !== '') passed.push({ line: lineOf(directive), why })
  }
  return { nodes, passed }
}

const lineOf = ({ from, to }: Directive): string => (from === to ? `${from}` : `${from}-${to}`)

/** Why a directive is no node; '' for what needs no word. */
function reasonOf({ words: [first, place = '', ...more], end, fault }: Directive): string | undefined {
  if (fault !== undefined) return fault
  if (first === undefined || first === 'upstream') return ''
  if (first !== 'server' || end !== ';') return `${first} is nothing that a node has`
  if (placeOf(place) === undefined) return `${place} is no address with a port`
  const other = more.find((word) => !words.weight.test(word) && !words.down.test(word))
  return other === undefined || /^(max_fails|fail_timeout|max_conns|resolve|backup)\b/.test(other)
    ? undefined
    : `${other} is no word for a server`
}

function upstreamOf({ words: [, place = '', ...more] }: Directive, taken: Set<string>): Upstream {
  const { address, port } = placeOf(place) ?? { address: place, port: ollama }
  const weight = more.flatMap((word) => words.weight.exec(word)?.[1] ?? [])[0]
  return {
    ...{ name: nameFor(address, taken), address, port, down: more.some((word) => words.down.test(word)) },
    ...(weight === undefined ? {} : { speed: Math.min(100, Math.max(0.1, Number(weight))) }),
  }
}
