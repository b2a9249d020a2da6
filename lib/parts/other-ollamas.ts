import type { Host, Look } from '../host.ts'
import type { Machine } from '../machine.ts'
import { labels } from '../places.ts'
import { launchd } from '../platform/launchd.ts'
import { describe, listeners } from '../platform/listeners.ts'
import { type Receipt, saveReceipt } from '../state.ts'

/** An Ollama (or something else on its port) that is not ours: how to stop it, and how to bring it back. */
export interface Other {
  what: string
  stop: string[][]
  back: string[]
}

/** The app (which would end our server and take the port), a Homebrew service, and whoever holds the port. */
export async function others(look: Look, machine: Machine, port: number): Promise<Other[]> {
  const list = (await look.query(['launchctl', 'list'])).stdout
  const found: Other[] = []
  if (/application\.com\.electron\.ollama/.test(list)) found.push(app(machine))
  if (/homebrew\.mxcl\.ollama$/m.test(list) && machine.brew) {
    found.push({
      what: 'the Homebrew service ollama',
      stop: [[machine.brew, 'services', 'stop', 'ollama']],
      back: ['brew', 'services', 'start', 'ollama'],
    })
  }
  return found.length > 0 ? found : holders(look, machine, port)
}

/** Its login item (label com.ollama.ollama) would bring it back at login, and it then ends every other `ollama serve`. */
function app(machine: Machine): Other {
  const item = `gui/${machine.uid}/com.ollama.ollama`
  return {
    what: 'Ollama.app',
    stop: [
      ['launchctl', 'disable', item],
      ['osascript', '-e', 'quit app "Ollama"'],
    ],
    back: ['sh', '-c', `launchctl enable ${item}; open -a Ollama`],
  }
}

async function holders(look: Look, machine: Machine, port: number): Promise<Other[]> {
  const job = await launchd(machine.home, machine.uid).job(look, labels.engine)
  const foreign = (await listeners(look, port)).filter(
    (fact) => fact.pid !== job?.pid && !fact.command?.includes('haproxy'),
  )
  const pids = new Map(foreign.map((fact) => [fact.pid ?? fact.address, fact]))
  return Promise.all(
    [...pids.values()].map(async (fact) => {
      const args = (await look.query(['ps', '-o', 'args=', '-p', `${fact.pid ?? 0}`])).stdout.trim()
      return {
        what: `${describe(fact)}${args ? `: ${args}` : ''}`,
        stop: [['kill', `${fact.pid ?? 0}`]],
        back: [args || 'start it again'],
      }
    }),
  )
}

/** Stops them and remembers how to bring them back. */
export async function stopOthers(host: Host, receipt: Receipt, found: Other[]): Promise<void> {
  for (const other of found) {
    for (const argv of other.stop) await host.run(argv)
    receipt.stopped.push({ what: other.what, back: other.back })
    await saveReceipt(host, receipt)
  }
}
