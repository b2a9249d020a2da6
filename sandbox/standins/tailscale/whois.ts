import type { Peer, TailscaleMac } from '../mac-state.ts'
import { fullName, keyOf, ownAddresses, peerAddresses, profile, userOf } from './status.ts'

/** This machine as others see it. */
function asPeer(tailscale: TailscaleMac): Peer {
  const { hostName, ipv4, ipv6, os, user, id, nodeId, tags, peerApiPort: apiPort, capabilities } = tailscale
  return { hostName, ipv4, ipv6, os, userId: user.id, id, nodeId, tags, apiPort, capabilities }
}

/** The machine that has this address; nobody is known without a network map. */
export function findPeer(address: string, tailscale: TailscaleMac): Peer | undefined {
  if (!ownAddresses(tailscale)) return undefined
  const bare = address.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
  return [asPeer(tailscale), ...tailscale.peers].find((peer) => peerAddresses(peer).includes(bare))
}

function hostinfo(peer: Peer, tailscale: TailscaleMac) {
  const port = peer.apiPort ?? 46590
  return {
    IPNVersion: tailscale.version,
    OS: peer.os ?? 'macOS',
    Hostname: peer.hostName,
    Services: ['peerapi4', 'peerapi6'].map((Proto) => ({ Proto, Port: port })),
  }
}

/** `tailscale whois --json`: Node, UserProfile and what the policy grants (apitype.WhoIsResponse). */
export function whoisJson(peer: Peer, tailscale: TailscaleMac): object {
  const prefixes = peerAddresses(peer).map((address) => `${address}/${address.includes(':') ? 128 : 32}`)
  const { capabilities, tags } = peer
  return {
    Node: {
      ID: peer.nodeId,
      StableID: peer.id,
      Name: fullName(peer.hostName, tailscale),
      User: peer.userId,
      Key: keyOf('nodekey', peer.nodeId),
      Machine: keyOf('mkey', peer.nodeId),
      DiscoKey: keyOf('discokey', peer.nodeId),
      Addresses: prefixes,
      AllowedIPs: prefixes,
      HomeDERP: 900,
      Hostinfo: hostinfo(peer, tailscale),
      Cap: 142,
      ...(tags ? { Tags: tags } : {}),
      Online: peer.online ?? true,
      MachineAuthorized: true,
      ...(capabilities ? { Capabilities: capabilities } : {}),
      ...(capabilities ? { CapMap: Object.fromEntries([...capabilities].sort().map((name) => [name, []])) } : {}),
      ComputedName: peer.hostName,
      ComputedNameWithHost: peer.hostName,
    },
    UserProfile: tags
      ? { ID: peer.userId, LoginName: 'tagged-devices', DisplayName: 'Tagged Devices' }
      : profile(userOf(peer.userId, tailscale)),
    CapMap: peer.capMap ?? null,
  }
}

/** Plain `tailscale whois`. */
export function whoisText(peer: Peer, tailscale: TailscaleMac): string {
  const prefixes = peerAddresses(peer).map((address) => `${address}/${address.includes(':') ? 128 : 32}`)
  const granted = Object.keys(peer.capMap ?? {}).map((name) => `  - ${name}`)
  const lines = [
    'Machine:',
    `  Name:          ${fullName(peer.hostName, tailscale).slice(0, -1)}`,
    `  ID:            ${peer.id}`,
    `  Addresses:     [${prefixes.join(' ')}]`,
    ...(peer.tags ? [`  Tags:          ${peer.tags.join(', ')}`] : []),
  ]
  const user = ['User:', `  Name:     ${userOf(peer.userId, tailscale).loginName}`, `  ID:       ${peer.userId}`]
  return [...lines, ...(peer.tags ? [] : user), ...(granted.length > 0 ? ['Capabilities:', ...granted] : [])].join('\n')
}
