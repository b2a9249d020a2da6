import { join } from 'node:path'
import { quote } from './quote.ts'
import { type RootPlan, rootLines } from './root.ts'

/** The box's network as seen from each of its three machines. */
export const net = {
  mac: { tailnet: '100.64.0.1', tailnet6: 'fd7a:115c:a1e0::1', lan: '192.168.78.1', lan6: 'fd00:78::1' },
  laptop: { tailnet: '100.64.0.7', tailnet6: 'fd7a:115c:a1e0::7' },
  neighbour: { lan: '192.168.78.2', lan6: 'fd00:78::2' },
  /** the device that carries the tailnet, as on a Mac */
  device: 'utun4',
} as const

/** The machines of a box: the Mac, a peer on its tailnet, and somebody on its LAN. */
export type Machine = 'mac' | 'laptop' | 'neighbour'

export interface InitPlan extends RootPlan {
  /** path of `ip` */
  ip: string
}

/** A process that holds a network namespace open; it says its pid outside, which only the outside's /proc tells. */
function holder(name: Machine): string[] {
  const body = `read -r pid rest </proc/self/stat; echo "${name} $pid" >&3; echo up >"$0"; exec sleep infinity 3>&-`
  return [
    `unshare --net sh -c ${quote(body)} "$run/${name}" </dev/null >/dev/null &`,
    `${name}=$!`,
    `read -r _ <"$run/${name}"`,
  ]
}

function batch(enter: string, lines: string[]): string {
  return `${enter} "$ip" -batch - <<'EOF'\n${lines.join('\n')}\nEOF`
}

/** Three machines: a tailnet link and a LAN link leave the Mac, nothing leaves the box. Lines with -force may fail (no IPv6). */
function network(): string[] {
  const { mac, laptop, neighbour, device } = net
  const inside = (name: Machine) => `nsenter --net="/proc/$${name}/ns/net"`
  const quick = (enter: string) =>
    `${enter} sh -c 'for file in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >"$file"; done' 2>/dev/null || :`
  return [
    `"$ip" link add ${device} type veth peer name ${device} netns "$laptop"`,
    '"$ip" link add en0 type veth peer name en0 netns "$neighbour"',
    'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || :',
    // A magic packet comes to port 9.
    `${inside('neighbour')} sh -c 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start' 2>/dev/null || :`,
    // For a device that comes later: what the Mac says to itself may come back through it (standins/tailscale/loop.ts).
    'echo 1 >/proc/sys/net/ipv4/conf/default/accept_local || :',
    ...['', inside('laptop'), inside('neighbour')].map(quick),
    // Other boxes may be wired to the laptop (tailnet.ts): what is for them goes through it, as through a relay of Tailscale's.
    `${inside('laptop')} sh -c 'cd /proc/sys/net/ipv4 && echo 1 >ip_forward && echo 1 >conf/${device}/proxy_arp && echo 0 >neigh/${device}/proxy_delay' || :`,
    batch('', [
      'link set lo up',
      `link set ${device} up`,
      'link set en0 up',
      `addr add ${mac.lan}/24 dev en0`,
      `route add 100.64.0.0/10 dev ${device}`,
    ]),
    batch(inside('laptop'), [
      'link set lo up',
      `link set ${device} up`,
      `addr add ${laptop.tailnet}/32 dev ${device}`,
      `route add 100.64.0.0/10 dev ${device} src ${laptop.tailnet}`,
    ]),
    batch(inside('neighbour'), [
      'link set lo up',
      'link set en0 up',
      `addr add ${neighbour.lan}/24 dev en0`,
      `route add ${mac.tailnet}/32 via ${mac.lan}`,
    ]),
    ...ipv6(inside('laptop'), inside('neighbour')),
  ]
}

/** The same over IPv6, where this kernel has it. */
function ipv6(laptop: string, neighbour: string): string[] {
  const prefix = 'fd7a:115c:a1e0::/48'
  const lines = [
    batch('', [`addr add ${net.mac.lan6}/64 dev en0 nodad`, `route add ${prefix} dev ${net.device}`]),
    batch(laptop, [
      `addr add ${net.laptop.tailnet6}/128 dev ${net.device} nodad`,
      `route add ${prefix} dev ${net.device}`,
    ]),
    batch(neighbour, [
      `addr add ${net.neighbour.lan6}/64 dev en0 nodad`,
      `route add ${net.mac.tailnet6}/128 via ${net.mac.lan6}`,
    ]),
  ]
  return [
    'if [ -e /proc/sys/net/ipv6 ]; then',
    ...lines.map((line) => line.replace('-batch -', '-force -batch - 2>/dev/null')),
    'fi || :',
  ]
}

/** Serves the box's `ip` and `mount`: its programs are plain users, only this process may change addresses and mounts. */
const SERVE = `while read -r reply name words; do
  [ "$name" = ip ] && name=$ip
  said=$("$name" $words 2>&1) && code=0 || code=$?
  { echo "$code"; [ -z "$said" ] || echo "$said"; } >"$run/$reply" 2>/dev/null &
done <>"$run/served" 3>&- &`

/** The program \`ip\` or \`mount\` of the box: hands its words to the first process and waits for what it says. */
export function servedProgram(box: string, name: 'ip' | 'mount'): string {
  return `#!/bin/sh
cd ${quote(join(box, 'run'))} || exit 1
mkfifo "reply.$$" || exit 1
echo "reply.$$ ${name} $*" >served
{
  rm "reply.$$"
  read -r code
  if [ "$code" = 0 ]; then cat; else cat >&2; fi
  exit "$code"
} <"reply.$$"
`
}

/**
 * The script of the box's first process. It says \`NAME PID\` for each machine and then \`ready\` on its output, reaps
 * what is orphaned as launchd does on a Mac, and ends, and all of the box with it, when its input closes.
 */
export function initScript(plan: InitPlan): string {
  return `${[
    'set -e',
    'exec 3>&1 >/dev/null',
    'PATH=$PATH:/usr/sbin:/sbin',
    `run=${quote(join(plan.box, 'run'))}`,
    `ip=${quote(plan.ip)}`,
    'read -r pid rest </proc/self/stat',
    'echo "mac $pid" >&3',
    'hostname studio 2>/dev/null || :',
    'mount --make-rprivate /',
    'mkfifo "$run/laptop" "$run/neighbour" "$run/served"',
    ...holder('laptop'),
    ...holder('neighbour'),
    // From here on /proc tells this namespace's pids.
    'mount -t proc proc /proc',
    ...network(),
    ...rootLines(plan),
    'set +e',
    SERVE,
    'exec 4<&0',
    'cat <&4 >/dev/null 3>&- &',
    'echo ready >&3',
    'exec 3>&-',
    'wait $!',
  ].join('\n')}\n`
}
