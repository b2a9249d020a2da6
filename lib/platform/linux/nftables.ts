import type { Aspect, PacketFilter } from '../platform.ts'

const unit = 'remote-ollama-proxy-firewall.service'
const program = ['/usr/sbin/nft', 'nft']

/** What decides beside us about the same packets (facts: linux.md §6). */
const others: Aspect[] = [
  {
    id: 'ufw',
    title: 'No other firewall drops what a listener is to get',
    async ask(look) {
      const on = /^ENABLED=yes$/m.test((await look.read('/etc/ufw/ufw.conf')) ?? '')
      return on
        ? {
            is: 'wanting',
            saw: 'the firewall ufw is on, too, and what it drops no listener gets',
            help: 'Let in what a listener is to get: sudo ufw allow proto tcp to ADDRESS port PORT',
          }
        : { is: 'good', saw: 'ufw is not on' }
    },
  },
  {
    id: 'docker',
    title: 'Nothing is forwarded past the firewall',
    async ask(look) {
      return (await look.stat('/run/docker.sock'))
        ? {
            is: 'wanting',
            saw: 'Docker is here, and what its containers publish is forwarded past this firewall (and past ufw)',
            help: 'Publish ports for this machine alone: docker run -p 127.0.0.1:PORT:PORT',
          }
        : { is: 'good', saw: 'Docker is not here' }
    },
  },
]

/** nftables, by one table and one unit of ours; nobody else's is touched. */
export const packetFilter: PacketFilter = {
  unit,
  package: 'nftables',
  program,
  async inForce(look, table) {
    const nft = await look.find(program)
    if (!nft) return undefined
    const { code, stdout } = await look.query([nft, '-s', '-t', 'list', 'table', ...table.split(' ')])
    return code === 0 ? stdout : undefined
  },
  async load(host) {
    await host.run(['systemctl', 'reload-or-restart', unit])
  },
  // The unit takes its table with it; one that it does not know of is taken away by name.
  async unload(host, table) {
    await host.run(['systemctl', 'stop', unit], { codes: [0, 5] })
    if ((await packetFilter.inForce(host, table)) === undefined) return
    await host.run([(await host.find(program)) ?? 'nft', 'delete', 'table', ...table.split(' ')])
  },
  others,
}
