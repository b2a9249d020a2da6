import { platformOf } from '../platform/here.ts'
import type { Aspect, Change, Said } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
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
  let tried = false
  return {
    ...check,
    interactive: true,
    keeps: change.keeps,
    async check(look) {
      const found = await check.check(look)
      return found.is === 'advice' && !tried ? { ...found, is: 'missed' } : found
    },
    async apply(host) {
      tried = true
      await change.make(host, setup.attended)
    },
  }
}

/** What may be changed, by the answer that agrees to it. */
function changes(machine: Machine, { mode, programs }: Setup): ['power' | 'firewall', Change][] {
  const { power, firewall } = platformOf(machine)
  const sleep: ['power', Change] = ['power', power.sleep]
  return mode === 'proxy' ? [sleep, ['firewall', firewall.lets(programs.haproxy)]] : [sleep]
}

/** What keeps a machine from being a server: advice, and a change with consent where one command does it. */
export const power: Part = {
  name: 'power',
  steps: (machine, setup) =>
    changes(machine, setup).map(([id, change]) => (setup.answers[id] ? changed(change, setup) : checkOf(change))),
  checks: (machine) => platformOf(machine).power.others.map(checkOf),
  async questions(look, machine, setup): Promise<Question[]> {
    const asked = changes(machine, setup).map(async ([id, change]): Promise<Question[]> => {
      const wanting = (await change.ask(look)).is === 'wanting'
      return wanting ? [{ id, kind: 'confirm', text: change.question, initial: false }] : []
    })
    return (await Promise.all(asked)).flat()
  },
}
