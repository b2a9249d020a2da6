import { platformOf } from '../platform/here.ts'
import type { Aspect, Change, Said } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { saveReceipt } from '../steps/receipt.ts'
import { file } from '../steps/resources.ts'
import { advice, type Check, type Finding, ok, type Step, skipped } from '../steps/step.ts'
import type { Part, Question } from './part.ts'

function finding(said: Said): Finding {
  if (said.is === 'good') return ok(said.saw)
  return said.is === 'wanting' ? advice(said.saw, said.help) : skipped(said.saw)
}

const checkOf = ({ id, title, ask }: Aspect): Check => ({ id, title, check: async (look) => finding(await ask(look)) })

/** A change with consent: when it does not show afterwards, that is advice again, since nothing more can be done by command. */
function changed(change: Change, setup: Setup): Step {
  const check = checkOf(change)
  const was = setup.receipt.changed[change.id]
  let [tried, before] = [false, '']
  return {
    ...check,
    interactive: true,
    asks: change.asks,
    keeps: `${change.keeps}${was === undefined ? '' : ` (before: ${was})`}`,
    async check(look) {
      const found = await check.check(look)
      if (found.is !== 'advice' || tried) return found
      before = found.saw
      return { ...found, is: 'missed' }
    },
    async apply(host) {
      tried = true
      await change.make(host, setup.attended)
      setup.receipt.changed[change.id] = before
      await saveReceipt(host, setup.receipt)
    },
  }
}

/** What may be changed, by the answer that agrees to it. */
function changes(machine: Machine, { mode, programs }: Setup): ['power' | 'firewall', Change][] {
  const { power, firewall } = platformOf(machine)
  const sleep: ['power', Change] = ['power', power.sleep]
  return mode === 'proxy' ? [sleep, ['firewall', firewall.lets(programs.haproxy)]] : [sleep]
}

/** Reload, never restart, whoever does it. */
function gentle(machine: Machine, { mode, receipt }: Setup): Step[] {
  const { restarter } = platformOf(machine)
  if (!restarter || mode !== 'proxy') return []
  const { name, folder, file: path, text } = restarter
  const title = `${name} is told to reload the gateway where it would restart it`
  const step = file({ id: 'power.restarts', title, path, text, mode: 0o755, receipt })
  return [
    { ...step, check: async (look) => ((await look.stat(folder)) ? step.check(look) : ok(`${name} is not here`)) },
  ]
}

/** What keeps a machine from being a server: advice, and a change with consent where one command does it. */
export const power: Part = {
  name: 'power',
  about: () => ({ title: 'Power', what: 'stays awake, and can be reached', where: 'with your password' }),
  steps: (machine, setup) => [
    ...gentle(machine, setup),
    ...changes(machine, setup).map(([id, change]) => (setup.answers[id] ? changed(change, setup) : checkOf(change))),
  ],
  checks: (machine) => platformOf(machine).power.others.map(checkOf),
  async questions(look, machine, setup): Promise<Question[]> {
    const { sleep, portable } = platformOf(machine).power
    if (setup.receipt.declined.includes('power') || (await sleep.ask(look)).is !== 'wanting') return []
    // Where nobody sits, nobody can type the password.
    const initial = setup.attended && !(await portable(look))
    return [{ id: 'power', kind: 'confirm', text: sleep.question, initial }]
  },
}
