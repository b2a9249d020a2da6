import { places, platformOf } from '../platform/here.ts'
import { isVip, type Vip } from '../site/vip.ts'
import { healthPath } from './policies/health.ts'
import type { Gateway } from './policy.ts'

/** Listening on the VIP begins before it is there, and after it went the old owner can still say that a connection is over (facts: linux.md §4). */
export const foreign = ({ settings }: Gateway, address: string): string =>
  isVip(settings, address) ? ' transparent' : ''

/** Seconds between two adverts of the one that has the address: with the usual 1 a dead one is noticed after more than three. */
const advert = 0.3

/** A block of keepalived.conf(5): one word of it a line. */
const block = (head: string, lines: string[]): string =>
  `${head} {\n${lines.map((line) => `    ${line}`).join('\n')}\n}\n`

const inner = (head: string, line: string): string => `${head} {\n        ${line}\n    }`

/**
 * The configuration of Keepalived for a gateway whose own address on the VIP's card is `own`. VRRP version 3 (RFC 5798),
 * between the two by name and not by multicast; what asks the gateway has no weight, since with `nopreempt` a lower
 * priority moves nothing (acassen/keepalived#2483): a gateway that fails is out, and comes back without taking anything.
 */
export function keepalivedConf(gateway: Gateway, { address, interface: card, ...vip }: Vip, own: string): string {
  const { user, group } = platformOf(gateway).account ?? { user: 'root', group: 'root' }
  const asks = `/usr/bin/curl -fsS -m 0.8 -o /dev/null --unix-socket ${places(gateway).healthSocket} http://gateway${healthPath}`
  return [
    '# Written by remote-ollama-proxy from settings.yaml.\n',
    block('global_defs', [
      'vrrp_version 3',
      'vrrp_startup_delay 2',
      'vrrp_garp_master_delay 1',
      'vrrp_garp_master_refresh 60',
      'enable_script_security',
      `script_user ${user} ${group}`,
    ]),
    block('vrrp_script gateway', [`script "${asks}"`, 'interval 1', 'timeout 1', 'fall 2', 'rise 2', 'init_fail']),
    block('vrrp_instance gateway', [
      'state BACKUP',
      'nopreempt',
      `interface ${card}`,
      `virtual_router_id ${vip.router_id}`,
      `priority ${vip.priority}`,
      `advert_int ${advert}`,
      'check_unicast_src',
      `unicast_src_ip ${own}`,
      inner('unicast_peer', vip.peer),
      inner('virtual_ipaddress', address),
      inner('track_script', 'gateway'),
    ]),
  ].join('')
}
