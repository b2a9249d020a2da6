import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type Process, processes } from './processes.ts'

/** A TCP socket of the box. */
export interface Socket {
  family: 4 | 6
  local: Endpoint
  remote: Endpoint
  /** as macOS names it: LISTEN, ESTABLISHED … */
  state: string
  inode: string
  receive: number
  send: number
}

export interface Endpoint {
  /** `*` for every address */
  address: string
  /** 0 for none */
  port: number
}

/** Linux's numbers (include/net/tcp_states.h) in macOS's words (netstat's tcpstates). */
const states: Record<string, string> = {
  '01': 'ESTABLISHED',
  '02': 'SYN_SENT',
  '03': 'SYN_RCVD',
  '04': 'FIN_WAIT_1',
  '05': 'FIN_WAIT_2',
  '06': 'TIME_WAIT',
  '07': 'CLOSED',
  '08': 'CLOSE_WAIT',
  '09': 'LAST_ACK',
  '0A': 'LISTEN',
  '0B': 'CLOSING',
}

/** /proc/net writes addresses as 32-bit words in the machine's order, which is little-endian on every machine here. */
function bytesOf(hex: string): number[] {
  const bytes = [...hex.matchAll(/../g)].map(([pair]) => Number.parseInt(pair, 16))
  return bytes.map((_, at) => bytes[at - (at % 4) + 3 - (at % 4)] ?? 0)
}

/** The shortest form of an IPv6 address (RFC 5952); the URL parser writes it. */
export function shortIPv6(groups: number[]): string {
  const long = groups.map((group) => group.toString(16)).join(':')
  return new URL(`http://[${long}]`).hostname.slice(1, -1)
}

function address(hex: string): string {
  const bytes = bytesOf(hex)
  if (bytes.every((byte) => byte === 0)) return '*'
  if (bytes.length === 4) return bytes.join('.')
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255
  if (mapped) return bytes.slice(12).join('.')
  return shortIPv6(bytes.flatMap((byte, at) => (at % 2 === 0 ? [byte * 256 + (bytes[at + 1] ?? 0)] : [])))
}

function endpoint(text: string): Endpoint {
  const [hex = '', port = ''] = text.split(':')
  return { address: address(hex), port: Number.parseInt(port, 16) }
}

function table(file: string, family: 4 | 6): Socket[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return []
  }
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [, local = '', remote = '', state = '', queues = '', , , , , inode = ''] = line.trim().split(/\s+/)
      const [send = '0', receive = '0'] = queues.split(':')
      return {
        family,
        local: endpoint(local),
        remote: endpoint(remote),
        state: states[state] ?? 'CLOSED',
        inode,
        receive: state === '0A' ? 0 : Number.parseInt(receive, 16),
        send: state === '0A' ? 0 : Number.parseInt(send, 16),
      }
    })
}

/** Every TCP socket of this network namespace. */
export function sockets(): Socket[] {
  return [...table('/proc/net/tcp', 4), ...table('/proc/net/tcp6', 6)]
}

/** Which descriptor of a process is which socket. */
export interface Held {
  fd: number
  socket: Socket
}

function inodes(pid: number): [fd: number, inode: string][] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
      return inode === undefined ? [] : [[Number(fd), inode] as [number, string]]
    })
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

/** The processes that hold sockets that `wanted` lets through, with those sockets. */
export function holders(wanted: (socket: Socket) => boolean): { process: Process; held: Held[] }[] {
  const byInode = new Map(
    sockets()
      .filter(wanted)
      .map((socket) => [socket.inode, socket]),
  )
  return processes().flatMap((process) => {
    const held = inodes(process.pid).flatMap(([fd, inode]) => {
      const socket = byInode.get(inode)
      return socket ? [{ fd, socket }] : []
    })
    return held.length > 0 ? [{ process, held: held.sort((a, b) => a.fd - b.fd) }] : []
  })
}
