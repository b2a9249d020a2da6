import type { Ran } from '../box/apt.ts'
import { at, at6, type Network, networks, usualBorder } from '../lab/networks.ts'
import type { Booted } from './booted.ts'

const link = (one: string, card: string, other: string, otherCard: string): string =>
  `ip link add ${card} ${one} type veth peer name ${otherCard} ${other}`
const inside = (network: string): string => `netns ${network}`

const script = (names: string[]): string => `
set -e
for n in border ${networks.join(' ')}; do
  ip netns add $n
  ip -n $n link set lo up
  mkdir -p /etc/netns/$n
  printf '127.0.0.1 localhost\\n${at.borderOutside} ${names.join(' ')}\\n' > /etc/netns/$n/hosts
done
${link('', 'home0', inside('border'), 'to-machine')}
${link(inside('border'), 'to-home', inside('home'), 'eth0')}
${link(inside('border'), 'to-other', inside('other'), 'eth0')}
${link(inside('border'), 'outside', inside('internet'), 'eth0')}
ip -n border link add switch type bridge
for port in to-machine to-home; do ip -n border link set $port master switch up; done
ip -n border address add ${at.borderInside}/24 dev switch
ip -n border address add 10.60.0.1/24 dev to-other
ip -n border address add ${at.borderOutside}/24 dev outside
for card in switch to-other outside; do ip -n border link set $card up; done
ip address add ${at.machine}/24 dev home0
ip link set home0 up
ip route add default via ${at.borderInside}
for client in home=${at.home}=${at.borderInside} other=${at.other}=10.60.0.1 internet=${at.internet}=; do
  IFS== read -r n address router <<END
$client
END
  ip -n $n address add $address/24 dev eth0
  ip -n $n link set eth0 up
  [ -z "$router" ] || ip -n $n route add default via $router
done
ip netns exec border sysctl -qw net.ipv4.ip_forward=1
ip netns exec border nft -f - <<'END'
${usualBorder}
END
`

const script6 = `
ip -n border address add 2001:db8:50::1/64 dev switch nodad
ip -n border address add 2001:db8:60::1/64 dev to-other nodad
ip -n border address add 2001:db8:1::1/64 dev outside nodad
ip address add ${at6.machine}/64 dev home0 nodad
ip -6 route add default via 2001:db8:50::1
for client in home=${at6.home}=2001:db8:50::1 other=${at6.other}=2001:db8:60::1 internet=${at6.internet}=2001:db8:1::1; do
  IFS== read -r n address router <<END
$client
END
  ip -n $n address add $address/64 dev eth0 nodad
  ip -n $n -6 route add default via $router
done
ip netns exec border sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns exec border nft add rule inet own forward ip6 daddr ${at6.machine} accept
`

/** Makes networks when the machine starts, as its owner's own would be made. */
const unit = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/networks.sh
[Install]
WantedBy=multi-user.target
`

/** The booted Debian at home behind a border, and clients in three networks, for whom these names lead to the border. */
export interface Networks {
  /** runs a line of the shell where a client or the border is */
  in(where: Network | 'border', line: string): Promise<Ran>
}

/** Makes them in the booted Debian, which has nftables; they are there again when it restarts. Throws with what went wrong. */
export async function startNetworks(machine: Booted, names: string[], { ipv6 = false } = {}): Promise<Networks> {
  const begun = `cat > /etc/networks.sh <<'WRITTEN'\n${script(names)}${ipv6 ? script6 : ''}WRITTEN
cat > /etc/systemd/system/networks.service <<'WRITTEN'\n${unit}WRITTEN
systemctl enable -q --now networks.service || { journalctl -n 5 -o cat -u networks >&2; exit 1; }`
  const { code, stderr } = await machine.run(['sh', '-c', begun])
  if (code !== 0) throw new Error(`the networks could not be made: ${stderr.trim()}`)
  return { in: (where, line) => machine.run(['ip', 'netns', 'exec', where, 'sh', '-c', line]) }
}
