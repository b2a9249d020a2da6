import { checkout } from '../box/paths.ts'
import { type Booted, boot } from './booted.ts'
import { whyNot } from './why.ts'

/** Where the demo says what it does. */
export interface Told {
  say(text: string): void
  heading(text: string): void
}

/** Runs a command in the machine and shows what it prints; throws when it fails. */
async function show({ say }: Told, machine: Booted, typed: string): Promise<void> {
  say(`ai1# ${typed}`)
  const { code, stdout, stderr } = await machine.run(['sh', '-c', `cd ${checkout} && ${typed}`])
  say(`${stdout}${stderr}`.trimEnd())
  say(`(exit code ${code})`)
  if (code !== 0) throw new Error(`${typed} ended with ${code}`)
}

/** The life cycle of the real scripts on a bare Debian 12 that systemd has started: one command, proof, a key, uninstall. Throws where a step fails, or no Debian can be booted here. */
export async function linuxDemo(told: Told): Promise<void> {
  const why = whyNot()
  if (why !== undefined) throw new Error(`${why}; npm run demo shows a Mac anywhere`)
  told.heading('a bare Debian 12, booted by systemd on this machine')
  const machine = await boot()
  try {
    told.heading('install')
    await show(told, machine, './bootstrap.sh --yes --model qwen3:0.6b')
    told.heading('status and test')
    await show(told, machine, 'rop status')
    await show(told, machine, 'rop test')
    told.heading('what systemd says')
    await show(told, machine, "systemctl --no-pager --plain list-units 'remote-ollama-proxy*' ollama.service")
    told.heading('uninstall')
    await show(told, machine, 'rop uninstall --yes --purge')
    told.heading('what is left')
    await show(
      told,
      machine,
      "find / -xdev -name '*remote-ollama-proxy*' -not -path '/tmp/*' -not -path '/var/log/journal/*' | sort",
    )
  } finally {
    await machine.close()
  }
}
