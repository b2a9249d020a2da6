import type { Peer, TailnetUser, TailscaleMac } from '../mac-state.ts'

const never = '0001-01-01T00:00:00Z'
const noKey = `nodekey:${'0'.repeat(64)}`
const deprecated =
  'HTTPS://TAILSCALE.COM/s/DEPRECATED-NODE-CAPS#see-https://github.com/tailscale/tailscale/issues/11508'

/** A key that is the same for the same machine. */
export function keyOf(kind: 'nodekey' | 'mkey' | 'discokey', nodeId: number): string {
  return `${kind}:${nodeId.toString(16).padStart(4, '0').repeat(16).slice(0, 64)}`
}

/** A host name as a label: separators become hyphens, and what no name may have is left out (tailscale: util/dnsname). */
const label = (hostName: string): string =>
  hostName
    .toLowerCase()
    .replace(/[ .@_]/g, '-')
    .replace(/[^a-z0-9-]/g, '')
    .replace(/^-+|-+$/g, '')

/** The full MagicDNS name, with its dot. */
export function fullName(hostName: string, tailscale: TailscaleMac): string {
  return `${label(hostName)}.${tailscale.suffix}.`
}

/** The lines under "Health": what the recorded program said in each state. */
function health(tailscale: TailscaleMac): string[] {
  const { state, joined, loginPending } = tailscale
  if (tailscale.health) return tailscale.health
  if (state === 'Stopped' || (state === 'NeedsLogin' && !joined && !loginPending)) return ['Tailscale is stopped.']
  if (state === 'NeedsMachineAuth' || loginPending) return ['Tailscale is starting. Please wait.']
  if (state === 'Starting') return ['Tailscale could not connect to any relay server. Check your Internet connection.']
  return []
}

/** Addresses of this machine; none without a key. */
export function ownAddresses({ joined, ipv4, ipv6 }: TailscaleMac): string[] | null {
  return joined ? [ipv4, ipv6].filter((address) => address !== '') : null
}

function prefixes(addresses: string[]): string[] {
  return addresses.map((address) => `${address}/${address.includes(':') ? 128 : 32}`)
}

function apiUrls(addresses: string[], port: number): string[] {
  return addresses.map((address) => `http://${address.includes(':') ? `[${address}]` : address}:${port}`)
}

function traffic() {
  return { RxBytes: 0, TxBytes: 0, Created: never, LastWrite: never, LastSeen: never, LastHandshake: never }
}

function sorted(names: string[], value: unknown): Record<string, unknown> {
  return Object.fromEntries([...names].sort().map((name) => [name, value]))
}

function stranger(tailscale: TailscaleMac) {
  return {
    ID: '',
    NodeID: 0,
    PublicKey: noKey,
    HostName: tailscale.hostName,
    DNSName: '',
    OS: tailscale.os,
    UserID: 0,
    TailscaleIPs: null,
    Addrs: tailscale.endpointsKnown ? tailscale.endpoints : [],
    CurAddr: '',
    Relay: tailscale.endpointsKnown ? tailscale.relay : '',
    PeerRelay: '',
    ...traffic(),
    Online: false,
    ExitNode: false,
    ExitNodeOption: false,
    Active: false,
    PeerAPIURL: null,
    TaildropTarget: 0,
    NoFileSharingReason: '',
    InNetworkMap: false,
    InMagicSock: false,
    InEngine: false,
  }
}

function self(tailscale: TailscaleMac) {
  const addresses = ownAddresses(tailscale)
  if (!addresses) return stranger(tailscale)
  const { state, capabilities } = tailscale
  const relayed = state !== 'NeedsMachineAuth' && state !== 'Starting'
  return {
    ID: tailscale.id,
    NodeID: tailscale.nodeId,
    PublicKey: keyOf('nodekey', tailscale.nodeId),
    HostName: tailscale.hostName,
    DNSName: fullName(tailscale.hostName, tailscale),
    OS: tailscale.os,
    UserID: tailscale.user.id,
    TailscaleIPs: addresses,
    AllowedIPs: prefixes(addresses),
    ...(tailscale.tags ? { Tags: tailscale.tags } : {}),
    Addrs: state === 'NeedsMachineAuth' ? [] : tailscale.endpoints,
    CurAddr: '',
    Relay: relayed ? tailscale.relay : '',
    PeerRelay: '',
    ...traffic(),
    Online: state !== 'Stopped',
    ExitNode: false,
    ExitNodeOption: false,
    Active: false,
    PeerAPIURL: state === 'Stopped' ? null : apiUrls(addresses, tailscale.peerApiPort),
    TaildropTarget: 0,
    NoFileSharingReason: '',
    Capabilities: [deprecated, ...capabilities],
    CapMap: sorted(capabilities, null),
    InNetworkMap: true,
    InMagicSock: false,
    InEngine: false,
    ...(tailscale.keyExpiry ? { KeyExpiry: tailscale.keyExpiry } : {}),
  }
}

/** A peer's addresses, IPv4 first. */
export function peerAddresses({ ipv4, ipv6 }: Peer): string[] {
  return ipv6 === undefined ? [ipv4] : [ipv4, ipv6]
}

function peerStatus(peer: Peer, tailscale: TailscaleMac) {
  const addresses = peerAddresses(peer)
  return {
    ID: peer.id,
    NodeID: peer.nodeId,
    PublicKey: keyOf('nodekey', peer.nodeId),
    HostName: peer.hostName,
    DNSName: fullName(peer.hostName, { ...tailscale, suffix: peer.suffix ?? tailscale.suffix }),
    OS: peer.os ?? 'macOS',
    UserID: peer.userId,
    TailscaleIPs: addresses,
    AllowedIPs: prefixes(addresses),
    ...(peer.tags ? { Tags: peer.tags } : {}),
    Addrs: null,
    CurAddr: '',
    Relay: tailscale.relay,
    PeerRelay: '',
    ...traffic(),
    Online: peer.online ?? true,
    ExitNode: false,
    ExitNodeOption: false,
    Active: false,
    PeerAPIURL: apiUrls(addresses, peer.apiPort ?? 46590),
    // 1 = may be sent files, 9 = belongs to someone else (ipnstate.TaildropTargetStatus).
    TaildropTarget: peer.userId === tailscale.user.id ? 1 : 9,
    NoFileSharingReason: '',
    ...(peer.capabilities ? { Capabilities: peer.capabilities } : {}),
    ...(peer.capabilities ? { CapMap: sorted(peer.capabilities, []) } : {}),
    InNetworkMap: true,
    InMagicSock: true,
    InEngine: false,
  }
}

/** A user as `status --json` and `whois --json` write one. */
export function profile({ id, loginName, displayName, picture }: TailnetUser) {
  return { ID: id, LoginName: loginName, DisplayName: displayName, ...(picture ? { ProfilePicURL: picture } : {}) }
}

/** What is known of a user by id; Tailscale has a profile for everyone in the network map. */
export function userOf(id: number, tailscale: TailscaleMac): TailnetUser {
  const known = [tailscale.user, ...tailscale.users].find((user) => user.id === id)
  return known ?? { id, loginName: `user-${id}@example.com`, displayName: `User ${id}` }
}

/** `tailscale status --json`: it answers in every state (ipn/ipnstate/ipnstate.go). */
export function statusJson(tailscale: TailscaleMac, withPeers: boolean): object {
  const { joined, suffix } = tailscale
  const known = joined && tailscale.state !== 'NeedsMachineAuth'
  const peers = known && withPeers ? tailscale.peers : []
  const ids = [...new Set([tailscale.user.id, ...peers.map(({ userId }) => userId)])]
  const name = fullName(tailscale.hostName, tailscale).slice(0, -1)
  return {
    Version: tailscale.version,
    TUN: true,
    BackendState: tailscale.state,
    ...(joined ? { HaveNodeKey: true } : {}),
    AuthURL: tailscale.loginPending ? tailscale.authUrl : '',
    TailscaleIPs: ownAddresses(tailscale),
    Self: self(tailscale),
    Health: health(tailscale),
    MagicDNSSuffix: joined ? suffix : '',
    CurrentTailnet: joined
      ? { Name: tailscale.tailnet, MagicDNSSuffix: suffix, MagicDNSEnabled: !tailscale.magicDnsOff }
      : null,
    CertDomains: joined ? (tailscale.certDomains ?? [name]) : null,
    ExtraRecords: null,
    Peer:
      peers.length > 0
        ? {
            ...Object.fromEntries(peers.map((peer) => [keyOf('nodekey', peer.nodeId), peerStatus(peer, tailscale)])),
            ...(tailscale.nullEntries ? { [keyOf('nodekey', 9)]: null } : {}),
          }
        : null,
    User: joined
      ? {
          ...Object.fromEntries(ids.map((id) => [id, profile(userOf(id, tailscale))])),
          ...(tailscale.nullEntries ? { 9: null } : {}),
        }
      : null,
    ClientVersion: null,
  }
}

function rows(tailscale: TailscaleMac, withPeers: boolean): string[] {
  const owner = (userId: number, tags?: string[]) =>
    tags ? 'tagged-devices' : `${userOf(userId, tailscale).loginName.split('@')[0]}@`
  const cells = [
    [tailscale.ipv4, tailscale.hostName, owner(tailscale.user.id, tailscale.tags), tailscale.os, '-'],
    ...(withPeers ? tailscale.peers : []).map((peer) => [
      peer.ipv4,
      peer.hostName,
      owner(peer.userId, peer.tags),
      peer.os ?? 'macOS',
      peer.online === false ? 'offline' : '-',
    ]),
  ]
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)))
  return cells.map((row) => row.map((cell, at) => `${cell.padEnd(widths[at] ?? 0)}  `).join(''))
}

/** Plain `tailscale status`: text and exit code, 1 unless Running or Starting. */
export function statusText(tailscale: TailscaleMac, withPeers: boolean): { text: string; code: number } {
  const { state } = tailscale
  if (state === 'Stopped') return { text: 'Tailscale is stopped.', code: 1 }
  if (state === 'NeedsMachineAuth') return { text: 'Machine is not yet approved by tailnet admin.', code: 1 }
  if (state === 'NeedsLogin') {
    const link = tailscale.loginPending ? `\nLog in at: ${tailscale.authUrl}` : ''
    return { text: `Logged out.${link}`, code: 1 }
  }
  if (state !== 'Running' && state !== 'Starting') return { text: `unexpected state: ${state}`, code: 1 }
  const ill = health(tailscale)
  const check = ill.length > 0 ? ['', '# Health check:', ...ill.map((line) => `#     - ${line}`)] : []
  return { text: [...rows(tailscale, withPeers), ...check].join('\n'), code: 0 }
}
