import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Machine } from '../../box/box.ts'
import { type Dialer, httpOver, startDialer } from '../../box/dial.ts'
import { bundle, checkout, node } from '../../box/paths.ts'
import type { Snapshot } from '../../box/snapshot.ts'
import { eventually } from '../../lab/gateway.ts'
import { type Booted, boot } from '../../linux/booted.ts'
import { type Ground, models, placeFiles, served, taker } from './ground.ts'
import { placeLaptop } from './laptop.ts'
import { told } from './life.ts'

const settings = '/etc/remote-ollama-proxy/settings.yaml'

/** A LAN by IPv4 and one by IPv6, with a neighbour and the other gateway of a pair in both. */
const lan = `set -e
for card in eth0 bond0.7; do ip link add $card type bridge; ip link set $card up; done
ip address add 192.168.78.1/24 dev eth0
ip address add fd00:78::1/64 dev bond0.7 nodad
for n in neighbour=2 peer=3; do
  name=\${n%=*} last=\${n#*=}
  ip netns add $name
  ip -n $name link set lo up
  for card in eth0=192.168.78.$last/24 bond0.7=fd00:78::$last/64; do
    switch=\${card%%=*} port=$name-\${card%%[0.]*}
    ip link add $port type veth peer name $switch netns $name
    ip link set $port master $switch up
    ip -n $name address add \${card#*=} dev $switch nodad
    ip -n $name link set $switch up
  done
done`

/** The laptop holds the other end of the tailnet. */
const tailnet = `set -e
ip netns add laptop
ip -n laptop link set lo up
ip link set tailscale0-peer netns laptop
ip -n laptop address add 100.64.0.7/32 dev tailscale0-peer
ip -n laptop link set tailscale0-peer up
ip -n laptop route add 100.64.0.1 dev tailscale0-peer
ip route add 100.64.0.7 dev tailscale0`

const beside = `set -e
systemd-run -q --unit=taker /opt/outside/node -e "${taker}"
systemd-run -q --unit=served /opt/outside/node -e "${served}"
systemd-run -q --unit=second -E OLLAMA_HOST=127.0.0.1:12500 -E HOME=/srv /usr/local/bin/ollama serve
for model in ${models.join(' ')}; do until OLLAMA_HOST=127.0.0.1:12500 ollama pull $model; do sleep 0.2; done; done`

/** What the jobs write all the time is left out: as in everything.ts of a box. */
const kept =
  /(observer|alerts|budgets|usage|nodes\.json|access\.log|keys\/(spent|devices|people|nodes-[0-9a-f]{12})\.map)/

const listing =
  'find /etc /usr/local /var/lib/remote-ollama-proxy ! -type d ! -name "*.writing" -exec stat -c "%n %a %U:%G" {} + -exec sha256sum {} + 2> /dev/null'

async function everything(machine: Booted): Promise<Snapshot> {
  const { stdout } = await machine.run(['sh', '-c', listing])
  const lines = stdout.split('\n').filter((line) => !kept.test(line))
  const pathIn = (line: string) => /\/\S+/.exec(line)?.[0] ?? ''
  const all: Snapshot = new Map()
  for (const line of lines) all.set(pathIn(line), `${all.get(pathIn(line)) ?? ''}${line}`)
  return new Map([...all].map(([path, said]) => [path, createHash('sha256').update(said).digest('hex')]))
}

/** What only an install brings is installed, as apply says. */
async function brought(machine: Booted, name: string, words: string[]) {
  const verb = name.replace(/\.ts$/, '')
  const run = (...argv: string[]) => machine.run(['sh', '-c', 'cd && exec rop "$@"', 'sh', ...argv])
  const outcome = await run(verb, ...words)
  const more = verb === 'apply' && outcome.code === 3 && outcome.stderr.includes('More than settings differs')
  return more ? run('install', '--yes') : outcome
}

/** Connections from the namespaces of a booted Debian, by a process in each. */
async function wires(machine: Booted): Promise<Pick<Ground, 'dial' | 'http'> & { close(): void }> {
  const program = join(await bundle(), 'standins.mjs')
  const dialers = new Map<Machine, Dialer>()
  const dialer = (from: Machine): Dialer => {
    const entered = ['nsenter', `--net=${machine.network(from)}`, node, program, 'box-dialer']
    const known = dialers.get(from) ?? startDialer(entered, { PATH: process.env.PATH ?? '', BOX: '/nonexistent' })
    dialers.set(from, known)
    return known
  }
  const dial: Ground['dial'] = (from, host, port) => dialer(from).dial(host, port)
  return {
    dial,
    async http(from, { host = '100.64.0.1', port = 11_434, ...options } = {}) {
      return httpOver(await dial(from, host, port), host, port, options)
    },
    close() {
      for (const one of dialers.values()) one.close()
    },
  }
}

const shell = async (machine: Booted, script: string): Promise<void> => {
  const outcome = await machine.run(['sh', '-c', script])
  if (outcome.code !== 0) throw new Error(`the ground could not be made: ${told(outcome)}`)
}

async function groundOf(machine: Booted): Promise<Ground> {
  const { close, ...wired } = await wires(machine)
  const text = async () => (await machine.read(settings)) ?? ''
  return {
    ...{ settings, home: '/root', address: '100.64.0.1', mac: machine.pretend, ...wired },
    run: (argv) => machine.run(argv),
    write: (path, said) =>
      shell(
        machine,
        `umask 077; mkdir -p "$(dirname '${path}')"; cat > '${path}' <<'WRITTEN'\n${said.trimEnd()}\nWRITTEN`,
      ),
    async script(name, ...words) {
      const outcome = await brought(machine, name, words)
      // Keepalived listens for some seconds before it takes an address.
      const [, vip = ''] = /^vip:\n {2}address: (\S+)/m.exec(await text()) ?? []
      if (vip !== '' && name === 'apply.ts' && outcome.code <= 1)
        await eventually(`it has ${vip}`, async () =>
          (await machine.run(['ip', '-o', 'address'])).stdout.includes(` ${vip}/`),
        )
      return outcome
    },
    everything: () => everything(machine),
    async close() {
      close()
      await machine.close()
    },
  }
}

/** A Debian that has booted and become a server with the models, beside a second Ollama. */
export async function installedDebian(): Promise<Ground & { machine: Booted }> {
  const machine = await boot()
  try {
    const ground = await groundOf(machine)
    ground.mac(({ tailscale }) => {
      tailscale.hostName = 'studio'
    })
    await shell(machine, lan)
    await placeFiles(ground)
    await ground.write(settings, `models: ${JSON.stringify(models)}\n`)
    const outcome = await machine.run(['sh', '-c', `cd ${checkout} && ./bootstrap.sh --yes`])
    if (outcome.code > 1) throw new Error(`the install on a bare Debian: ${told(outcome)}`)
    await shell(machine, tailnet)
    await shell(machine, beside)
    placeLaptop(ground, {})
    return { ...ground, machine }
  } catch (error) {
    await machine.close()
    throw error
  }
}
