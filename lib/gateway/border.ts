import { isIP } from 'node:net'
import { challengePorts } from './policies/challenge.ts'
import type { Gateway, Listener } from './policy.ts'
import { everyListener } from './services.ts'

const table = 'inet remote_ollama_proxy_border'

/** A port of ours, and who may come to it from beyond the border; everybody where no networks are named. */
interface Forwarded extends Pick<Listener, 'name' | 'sources'> {
  address: string
  port: number
}

/** One address for each port: a border forwards what comes to its own address to one machine. */
function forwarded(gateway: Gateway): Forwarded[] {
  // Whoever relays by the PROXY protocol needs no translation, and what is translated has no header.
  const beyond = everyListener(gateway).filter(({ name, relays }) => ['lan', 'public'].includes(name) && !relays)
  return beyond.flatMap(({ name, sources, addresses, port }) => {
    const address = addresses.find((one) => isIP(one) === 4)
    const ports = name === 'public' ? [port, ...challengePorts(gateway)] : [port]
    const from = sources.filter((network) => !network.includes(':'))
    if (address === undefined || (sources.length > 0 && from.length === 0)) return []
    return ports.map((one) => ({ name, sources: from, address, port: one }))
  })
}

const dnat = ({ name, sources, address, port }: Forwarded): string =>
  `fib daddr type local ${sources.length > 0 ? `ip saddr { ${sources.join(', ')} } ` : ''}tcp dport ${port} dnat ip to ${address} # ${name}`

const around = (address: string): string => address.replace(/\d+$/, '0/24')

/**
 * nftables rules (nft(8), "NAT STATEMENTS") for the machine between this one and the internet: what comes to its own
 * addresses, on the ports of `lan` and `public`, goes on to this machine. Undefined when no such listener has an IPv4 address.
 */
export function borderRules(gateway: Gateway): string | undefined {
  const all = forwarded(gateway)
  if (all.length === 0) return undefined
  const addresses = [...new Set(all.map(({ address }) => address))]
  return `# For the machine in front of this one: what comes to it on these ports goes on.
# It needs net.ipv4.ip_forward=1, and, where its rules drop what is forwarded,
# also: ct status dnat accept
table ${table}
delete table ${table}
table ${table} {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ${all.map(dnat).join('\n    ')}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    # For neighbours who ask the outside address (change what is no /24)
    ${addresses.map((address) => `ct status dnat ip saddr ${around(address)} ip daddr ${address} masquerade`).join('\n    ')}
  }
}
`
}
