import { readFileSync } from 'node:fs'
import type { Box } from './box.ts'
import { type Endpoint, type Socket, sockets } from './sockets.ts'
import { complain, say } from './system.ts'

function written({ address, port }: Endpoint, width: number): string {
  // inet6print of netstat's inet6.c cuts the address alone, at 16 characters, unless -l or -W is given; then comes the port.
  const shown = width < 40 && address.includes(':') ? address.slice(0, 16) : address
  return `${shown}.${port || '*'}`.padEnd(width)
}

/** A wildcard IPv6 socket takes IPv4 too, unless another holds that port there. */
function protocol(socket: Socket, all: Socket[]): string {
  if (socket.family === 4) return 'tcp4'
  const four = all.some(
    (other) => other.family === 4 && other.local.address === '*' && other.local.port === socket.local.port,
  )
  return socket.local.address === '*' && !four ? 'tcp46' : 'tcp6'
}

function line(socket: Socket, all: Socket[], width: number): string {
  const counts = [socket.receive, socket.send].map((count) => String(count).padStart(6)).join(' ')
  const ends = `${written(socket.local, width)} ${written(socket.remote, width)}`
  return `${protocol(socket, all).padEnd(5)} ${counts}  ${ends} ${socket.state.padEnd(11)}`
}

/** netstat -an -p tcp [-f inet|inet6]: every socket of the box, root's too; addresses with a dot before the port. */
export function main(argv: string[], { mac }: Box): number {
  const family = argv[argv.indexOf('-f') + 1]
  const flags = argv.filter((word) => /^-[a-zA-Z]+$/.test(word)).join('')
  if (argv.includes('-p') && argv[argv.indexOf('-p') + 1] !== 'tcp') return 0
  // Long addresses are cut without -l or -W, as on a Mac.
  const width = /[lW]/.test(flags) ? 45 : 22
  const all = sockets()
  const shown = all.filter((socket) => {
    const name = protocol(socket, all)
    if (!flags.includes('a') && socket.state === 'LISTEN') return false
    // Such a box is on loopback alone; what listens elsewhere is this machine's.
    if (mac.network.shared && socket.state === 'LISTEN' && !socket.local.address.startsWith('127.')) return false
    return !argv.includes('-f') || name === 'tcp46' || name === (family === 'inet6' ? 'tcp6' : 'tcp4')
  })
  const heading = `Proto Recv-Q Send-Q  ${'Local Address'.padEnd(width)} ${'Foreign Address'.padEnd(width)} (state)    `
  const title = `Active Internet connections${flags.includes('a') ? ' (including servers)' : ''}`
  return say([title, heading, ...shown.map((socket) => line(socket, all, width))].join('\n'))
}

/** arp -a[n]: the neighbours that the kernel knows. */
export function arp(argv: string[]): number {
  if (!argv.join('').includes('a')) return complain('usage: arp [-n] [-i interface] hostname')
  const rows = readFileSync('/proc/net/arp', 'utf8').trim().split('\n').slice(1)
  for (const row of rows) {
    const [address, , , hardware, , device] = row.split(/\s+/)
    say(`? (${address}) at ${hardware} on ${device} ifscope [ethernet]`)
  }
  return 0
}
