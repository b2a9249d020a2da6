import type { Look } from '../host.ts'
import type { Machine } from '../machine.ts'
import { readSign, staleAfter } from '../observer/state.ts'
import { labels, places } from '../places.ts'
import { fillAgent } from '../platform/launchd.ts'
import { agentFileStep, service } from '../resources.ts'
import { type Check, type Finding, missed, ok, type Step, skipped } from '../step.ts'
import type { Part, Setup } from './part.ts'

const without = 'until it runs there is no log of requests, nothing is counted, and no metrics are served'

/** A process alone proves nothing: it must have given a sign of life a moment ago. */
async function answers(look: Look, pid: number): Promise<Finding> {
  const sign = await readSign(look)
  const age = sign?.pid === pid ? Date.now() - sign.at : undefined
  if (age === undefined || age > staleAfter)
    return missed(
      `process ${pid} gives no sign of life; ${without}`,
      `See ${places('~').logs}/observer.log, then run install.ts again.`,
    )
  return ok(`process ${pid}, sign of life ${Math.round(age / 1000)} s ago`)
}

function job(machine: Machine, setup: Setup): { plist: Step; run: Step } {
  const at = places(machine.home)
  const agent = fillAgent(setup.agents[labels.observer] ?? '', {
    // By the version, not by the link: a new copy is a new job.
    bin: `${at.runtime}/${setup.version}/templates/bin`,
    logs: at.logs,
    node: machine.node ?? '',
  })
  const keepEdited = setup.answers.keepEdited.includes(`${at.agents}/${labels.observer}.plist`)
  const run = service({
    id: 'observer.service',
    title: 'The observer runs and reads what HAProxy writes down',
    machine,
    agent,
    receipt: setup.receipt,
    keepEdited,
    answers,
  })
  const plist = agentFileStep({
    id: 'observer.plist',
    title: `${labels.observer}.plist is written`,
    home: machine.home,
    agent,
    receipt: setup.receipt,
    keepEdited,
  })
  return { plist, run: { ...run, check: async (look) => withLoss(await run.check(look)) } }
}

const withLoss = (finding: Finding): Finding =>
  finding.is === 'missed' && !finding.saw.includes(without)
    ? { ...finding, saw: `${finding.saw}; ${without}` }
    : finding

/** Switched off, or without the proxy, there must be none. */
function absent({ run }: { run: Step }): Step {
  return {
    id: run.id,
    title: 'No observer runs, as the settings say',
    check: async (look) => (await run.gone?.(look)) ?? skipped('nothing to see'),
    apply: async (host) => run.undo?.(host),
    theirs: run.theirs,
    undo: run.undo,
    gone: run.gone,
  }
}

/** The one resident helper, off the way of requests: log, counts, metrics. */
export const observer: Part = {
  name: 'observer',
  steps(machine, setup): Check[] {
    const steps = job(machine, setup)
    if (setup.mode !== 'proxy' || setup.settings.observer === 'off') return [absent(steps)]
    return [steps.plist, { ...steps.run, needs: ['runtime.copy'] }]
  },
}
