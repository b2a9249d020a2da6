import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Box } from './box.ts'
import { program } from './paths.ts'
import { ipProgram } from './tools.ts'

/** Who a box is on the tailnet; a box that others are joined to needs an address and a name of its own. */
export interface Device {
  hostName: string
  ipv4: string
}

/** The Mac of a box as this device; IPv6 leads to no other box. */
export const asDevice = ({ hostName, ipv4 }: Device): object => ({
  computerName: hostName,
  tailscale: { hostName, ipv4, ipv6: '' },
})

let wires = 0

/** Runs `ip` in the network of a box's laptop. */
async function atLaptop(box: Box, words: string[]): Promise<void> {
  const ip = await ipProgram(join(box.dir, 'run'))
  const into = `--net=/proc/${holder(box)}/ns/net`
  execFileSync(program('nsenter') ?? 'nsenter', [into, ip, ...words], { stdio: 'pipe', encoding: 'utf8' })
}

function holder(box: Box): number {
  const pid = box.holder('laptop')
  if (pid === undefined) throw new Error(`a plain box has no network to be joined: ${box.why}`)
  return pid
}

/** One wire between the laptops of two boxes, which pass on what is for the Mac behind them. */
async function wire(one: Box, other: Box): Promise<void> {
  wires += 1
  const name = `wire${wires}`
  const [near, far] = [`169.254.${wires}.1`, `169.254.${wires}.2`]
  await atLaptop(one, ['link', 'add', name, 'type', 'veth', 'peer', 'name', name, 'netns', `${holder(other)}`])
  const ends: [Box, string, string, Box][] = [
    [one, near, far, other],
    [other, far, near, one],
  ]
  for (const [box, own] of ends) {
    await atLaptop(box, ['addr', 'add', `${own}/24`, 'dev', name])
    await atLaptop(box, ['link', 'set', name, 'up'])
  }
  for (const [box, , next, { address }] of ends)
    await atLaptop(box, ['route', 'replace', `${address}/32`, 'via', next, 'dev', name])
}

/** A box knows an address by its name, in the place of MagicDNS. */
function named(box: Box, { address, state }: Box): void {
  const { hostName, suffix } = state().tailscale
  const file = join(box.dir, 'etc/hosts')
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const kept = lines.filter((line) => !line.startsWith(`${address} `))
  writeFileSync(file, `${[...kept, `${address} ${hostName}.${suffix} ${hostName}`].join('\n')}\n`)
}

/** A box has another one as a device of the same person's. */
function introduce(box: Box, other: Box): void {
  named(box, other)
  const { address } = other
  const { hostName, user } = other.state().tailscale
  const nodeId = 5000 + Number(address.split('.').at(-1))
  const about = { id: `n${hostName}CNTRL`, nodeId, os: 'macOS', userId: user.id, online: true }
  box.mac(({ tailscale }) => {
    const others = tailscale.peers.filter(({ ipv4 }) => ipv4 !== address)
    tailscale.peers = [...others, { hostName, ipv4: address, ipv6: '', ...about }]
  })
}

/**
 * Joins a box to others, so that their Macs reach each other by their tailnet addresses. Each box needs an address of its
 * own (`asDevice`), and this process the right to enter their networks: root's, or that of the first in a user namespace around all of them.
 */
export async function joinTailnet(box: Box, others: Box[]): Promise<void> {
  for (const one of [box, ...others]) named(one, one)
  for (const other of others) {
    await wire(box, other)
    introduce(box, other)
    introduce(other, box)
  }
}

/** Whether this process may join boxes, tried by what needs the same right; an ordinary user may after `unshare --user --map-root-user`. */
export const mayJoin = (): boolean =>
  spawnSync(program('unshare') ?? 'unshare', ['--net', 'true'], { stdio: 'ignore' }).status === 0

/** A Mac falls asleep, or is awake again: what is sent to it over the tailnet is dropped without a word, what runs there stays. */
export async function asleep(box: Box, yes: boolean): Promise<void> {
  await atLaptop(box, ['route', yes ? 'replace' : 'del', 'blackhole', `${box.address}/32`])
}
