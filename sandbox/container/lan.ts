import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ran, run } from '../box/apt.ts'
import { packages } from '../box/packages.ts'
import { bundle, node } from '../box/paths.ts'

/** A LAN around the machine of a Docker engine: machines with addresses of their own, and names that its name server knows. */
export interface Lan {
  /** runs a command on one of the machines */
  on(machine: string, argv: string[]): Promise<Ran>
  /** starts one that goes on until the LAN is closed */
  start(machine: string, argv: string[], env?: NodeJS.ProcessEnv): ChildProcess
  /** starts a stand-in of Ollama that has these models, for whoever reaches the machine */
  ollama(machine: string, models: string[]): Promise<void>
  close(): Promise<void>
}

const card = (at: number): string => `port${at}`

/** Every machine is a namespace, and a cable from it to a bridge on the engine's machine, which has the first address. */
const script = (network: string, own: string, machines: [string, string][]): string => `set -e
ip -n ${network} link add lan type bridge
ip -n ${network} address add ${own}/24 dev lan
ip -n ${network} link set lan up
${machines
  .map(
    ([name, address], at) => `ip netns add ${network}-${name}
ip -n ${network}-${name} link set lo up
ip -n ${network} link add ${card(at)} type veth peer name eth0 netns ${network}-${name}
ip -n ${network} link set ${card(at)} master lan up
ip -n ${network}-${name} address add ${address}/24 dev eth0
ip -n ${network}-${name} link set eth0 up
ip -n ${network}-${name} route add default via ${own}`,
  )
  .join('\n')}`

const ends = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** Makes it around the namespace of an engine: the engine's own address, machines and records (name -> address). Throws with what went wrong. */
export async function startLan(
  network: string,
  own: string,
  machines: Record<string, string>,
  records: Record<string, string>,
): Promise<Lan> {
  const all = Object.entries(machines)
  const { code, stderr } = await run('sh', ['-c', script(network, own, all)])
  if (code !== 0) throw new Error(`the LAN could not be made: ${stderr.trim()}`)
  const folder = mkdtempSync(join(tmpdir(), 'lan-'))
  const running: ChildProcess[] = []
  const inside = (machine: string) => ['netns', 'exec', machine === '' ? network : `${network}-${machine}`]
  const lan: Lan = {
    on: (machine, argv) => run('ip', [...inside(machine), ...argv]),
    start(machine, argv, env = process.env) {
      const child = spawn('ip', [...inside(machine), ...argv], { env, stdio: 'ignore' })
      running.push(child)
      return child
    },
    async ollama(machine, models) {
      const box = join(folder, machine)
      cpSync(await bundle(), box, { recursive: true })
      const program = [node, join(box, 'standins.mjs'), 'ollama']
      const env = { ...process.env, BOX: box, HOME: box, OLLAMA_HOST: '0.0.0.0:11434' }
      lan.start(machine, [...program, 'serve'], env)
      for (const model of models) await pulled(() => run('ip', [...inside(machine), ...program, 'pull', model], env))
    },
    async close() {
      await Promise.all(running.map(ends))
      for (const [name] of all) await run('ip', ['netns', 'del', `${network}-${name}`])
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  await names(lan, folder, own, records)
  return lan
}

/** A pull, again until the server is there. */
async function pulled(pull: () => Promise<Ran>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const { code, stderr } = await pull()
    if (code === 0) return
    if (tries > 20) throw new Error(`no model could be pulled: ${stderr.trim()}`)
  }
}

async function names(lan: Lan, folder: string, own: string, records: Record<string, string>): Promise<void> {
  const from = await packages(['dnsmasq-base'])
  const file = join(folder, 'dnsmasq.conf')
  const lines = Object.entries(records).map(([name, address]) => `host-record=${name},${address}`)
  writeFileSync(file, [...lines, 'no-resolv', 'no-hosts', 'bind-interfaces', ''].join('\n'))
  const words = ['--keep-in-foreground', `--conf-file=${file}`, `--listen-address=${own}`, '--user=', '--pid-file=']
  lan.start('', [from.bin('dnsmasq'), ...words], { ...process.env, LD_LIBRARY_PATH: from.libraryPath })
}
