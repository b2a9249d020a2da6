import type { Host, Look } from '../host/host.ts'
import { jobsOf, labels, listeners, platformOf } from '../platform/here.ts'
import { describe } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Receipt } from '../site/receipt.ts'
import { saveReceipt } from '../steps/receipt.ts'

/** An Ollama (or something else on its port) that is not ours: how to stop it, and how to bring it back. */
export interface Other {
  what: string
  /** commands that stop it; none when it belongs to another user */
  stop: string[][]
  /** the command that brings it back; empty when only the person knows it */
  back: string[]
}

/** The command that brings one back, as a person types it. */
export function typed(back: string[]): string {
  if (back.length === 0) return 'start it again as you did before'
  const [shell, flag, script] = back
  return shell === 'sh' && flag === '-c' && script !== undefined ? script : back.join(' ')
}

/** The app (which would end our server and take the port), a Homebrew service, and whoever holds the port. */
export async function others(look: Look, machine: Machine, port: number): Promise<Other[]> {
  const loaded = await jobsOf(machine).loaded(look)
  const found: Other[] = []
  if (loaded.some((label) => label.startsWith('application.com.electron.ollama')) || (await loginItem(look, machine)))
    found.push(app(machine))
  const brew = loaded.includes('homebrew.mxcl.ollama')
    ? await ownerOf(look, machine, 'homebrew.mxcl.ollama')
    : undefined
  if (brew) {
    found.push({
      what: 'the Homebrew service ollama',
      stop: [[brew, 'services', 'stop', 'ollama']],
      back: [brew, 'services', 'start', 'ollama'],
    })
  }
  return found.length > 0 ? found : holders(look, machine, port)
}

/** The Homebrew that runs a service: on a Mac with two, only its own brings it back as it was. */
async function ownerOf(look: Look, machine: Machine, label: string): Promise<string | undefined> {
  const { program: brew, other } = machine.packager
  const [program = ''] = (await jobsOf(machine).job(look, label))?.arguments ?? []
  return other && program.startsWith(`${other.prefix}/`) ? other.path : brew
}

/** The app's login item, when it is registered and not switched off: it would start the app at the next login. */
async function loginItem(look: Look, machine: Machine): Promise<boolean> {
  const jobs = jobsOf(machine)
  if (!(await look.stat('/Applications/Ollama.app'))) return false
  return (await jobs.job(look, appItem)) !== undefined && !(await jobs.disabled(look, appItem))
}

const appItem = 'com.ollama.ollama'

/** Quitting by AppleScript needs a permission that may be denied, and over ssh is asked for at a screen that nobody sees; the signal does not. */
const byForce = 'pkill -x Ollama || true'

/** Its login item (label com.ollama.ollama) would bring it back at login, and it then ends every other `ollama serve`. */
function app(machine: Machine): Other {
  const item = jobsOf(machine).target(appItem)
  return {
    what: 'Ollama.app',
    stop: [
      ['launchctl', 'disable', item],
      ['sh', '-c', machine.ssh ? byForce : `osascript -e 'quit app "Ollama"' || ${byForce}`],
    ],
    back: ['sh', '-c', `launchctl enable ${item}; open -a Ollama`],
  }
}

async function holders(look: Look, machine: Machine, port: number): Promise<Other[]> {
  const job = await jobsOf(machine).job(look, labels.engine)
  const foreign = (await listeners(look, port)).filter(
    (fact) => (fact.pid === undefined || fact.pid !== job?.pid) && !fact.command?.includes('haproxy'),
  )
  const pids = new Map(foreign.map((fact) => [fact.pid ?? fact.address, fact]))
  return Promise.all(
    [...pids.values()].map(async (fact) => {
      const args = (await look.query(['ps', '-o', 'args=', '-p', `${fact.pid ?? 0}`])).stdout.trim()
      return {
        what: platformOf(machine).packages.stable(`${describe(fact)}${args ? `: ${args}` : ''}`),
        stop: fact.pid === undefined ? [] : [['kill', `${fact.pid}`]],
        back: [],
      }
    }),
  )
}

/** Stops them and remembers how to bring them back. */
export async function stopOthers(host: Host, receipt: Receipt, found: Other[]): Promise<void> {
  for (const other of found) {
    receipt.stopped.push({ what: other.what, back: other.back })
    await saveReceipt(host, receipt)
    for (const argv of other.stop) await host.run(argv)
  }
}
