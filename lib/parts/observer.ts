import { dirname } from 'node:path'
import { droppedLines, runningFingerprint } from '../haproxy/runtime.ts'
import type { Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { ageOf, readSign, staleAfter } from '../observer/sign.ts'
import { triedOn } from '../observer/tried.ts'
import { jobPath, jobsOf, labels, listeners, places, platformOf } from '../platform/here.ts'
import { describe } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import { spreads } from '../site/nodes.ts'
import type { Setup } from '../site/setup.ts'
import { jobFileStep, service, tilde } from '../steps/resources.ts'
import { advice, type Check, type Finding, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part } from './part.ts'

const without = 'until it runs there is no log of requests, nothing is counted, and no metrics are served'
const ofNodes = '; requests go on to nodes by what they last had: which models they load, get or lose since is not seen'

/** Where it says what it cannot do. */
const ownLog = (look: Look): string =>
  jobsOf({ ...look, uid: 0 }).typed.reads(labels(look).observer, `${places(look).logs}/observer.log`)

/** A process alone proves nothing: it must have given a sign of life a moment ago. */
async function answers(look: Look, pid: number): Promise<Finding> {
  const sign = await readSign(look)
  const age = sign?.pid === pid ? ageOf(sign) : undefined
  if (age === undefined || age > staleAfter)
    return missed(
      `process ${pid} gives no sign of life; ${without}`,
      `See ${ownLog(look)}, then run ${called('install')} again.`,
    )
  return ok(`process ${pid}, sign of life ${Math.round(age / 1000)} s ago`)
}

function job(machine: Machine, setup: Setup): { file: Step; run: Step } {
  const at = places(machine)
  const file = platformOf(machine).jobFiles.filled(setup.jobs[labels(machine).observer] ?? '', {
    // By the version, not by the link: a new copy is a new job.
    bin: `${at.runtime}/${setup.version}/templates/bin`,
    logs: at.logs,
    folder: at.proxy,
    state: at.state,
    certs: at.certs,
    node: setup.programs.node,
  })
  const keepEdited = setup.answers.keepEdited.includes(jobPath(machine, labels(machine).observer))
  const run = service({
    id: 'observer.service',
    title: 'The observer runs and reads what HAProxy writes down',
    machine,
    job: file,
    receipt: setup.receipt,
    keepEdited,
    answers,
  })
  const written = jobFileStep({
    id: 'observer.job',
    at: machine,
    job: file,
    receipt: setup.receipt,
    keepEdited,
  })
  return { file: written, run: { ...run, check: async (look) => withLoss(await run.check(look), setup) } }
}

function withLoss(finding: Finding, { settings }: Setup): Finding {
  if (finding.is !== 'missed') return finding
  const saw = finding.saw.includes(without) ? finding.saw : `${finding.saw}; ${without}`
  return { ...finding, saw: spreads(settings) ? `${saw}${ofNodes}` : saw }
}

/** Found before anything is changed, since the observer would go on without. */
function portFree(machine: Machine, setup: Setup): Check {
  const { port } = setup.settings.metrics
  return {
    id: 'observer.port',
    title: `Nobody else holds port ${port}, where the metrics are served`,
    exit: 3,
    async check(look) {
      const ours = (await jobsOf(machine).job(look, labels(machine).observer))?.pid
      const found = (await listeners(look, port)).filter(
        ({ address, pid }) => (address === '127.0.0.1' || address === '*') && (pid === undefined || pid !== ours),
      )
      return found.length === 0
        ? ok('free, or ours')
        : missed(
            `the port is taken: ${found.map(describe).join(', ')}`,
            `Stop it, or set another one in settings.yaml (metrics.port: ${port}).`,
          )
    },
  }
}

/** What it says itself that it cannot do. */
const works = (): Check => ({
  id: 'observer.works',
  title: 'The observer does all its duties',
  needs: ['observer.service'],
  async check(look) {
    const faults = (await readSign(look))?.faults ?? []
    return faults.length === 0
      ? ok('no fault')
      : missed(`the observer says: ${faults.join('; ')}`, `See ${ownLog(look)}.`)
  },
})

/** What is lost on the way from HAProxy to the log is missing in reports and in shares of a day. */
const whole = (machine: Machine): Check => ({
  id: 'observer.log-whole',
  title: 'No line of the log was lost',
  needs: ['observer.service'],
  async check(look) {
    // HAProxy holds it open and goes on writing into what nobody can open any more.
    if ((await runningFingerprint(look)) && (await look.stat(places(look).access)) === undefined)
      return missed(
        `${tilde(look, places(look).access)} was removed: since then nothing is counted, and shares of a day have no end`,
        `Restart the gateway, which cuts running answers: ${jobsOf(machine).typed.restart(labels(machine).gateway)}`,
      )
    const { unreadable = 0, gaps = 0 } = (await readSign(look))?.lost ?? {}
    const seen = [
      [await droppedLines(look), 'lines could not be written'],
      [unreadable, 'lines could not be read'],
      [gaps, 'times lines were gone before they were read'],
    ].flatMap(([count, what]) => (count ? [`${count} ${what}`] : []))
    return seen.length === 0
      ? ok('none')
      : advice(
          `${seen.join(', ')}: they are missing in the report and in shares of a day`,
          'Look whether the disk is full (df -h ~); the count begins anew with the gateway and the observer.',
        )
  },
})

const heard = ({ webhook }: Setup['settings']['alerts']): Check => ({
  id: 'alerts.notification',
  title: 'Alerts reach somebody',
  async check(look) {
    if (webhook !== undefined) return ok('by the webhook, too')
    const tried = await triedOn(look)
    const { saw, help } = platformOf(look).facts.unseen
    return tried ? ok(`by notifications, of which one was tried on ${tried}`) : advice(saw, help)
  },
})

const told = ({ alerts }: Setup['settings']): Check[] => (alerts.notification ? [heard(alerts)] : [])

/** Switched off, or without the proxy, there must be none. */
function absent({ run }: { run: Step }): Step {
  return {
    id: run.id,
    title: 'No observer runs, as the settings say',
    check: async (look) => (await run.gone?.(look)) ?? skipped('nothing to see'),
    async apply(host) {
      await run.undo?.(host)
      const at = places(host)
      for (const file of [at.access, `${at.access}.1`, at.observer, at.listsSocket]) await host.remove(file)
    },
    theirs: run.theirs,
    undone: run.undone,
    undo: run.undo,
    gone: run.gone,
  }
}

/** The one resident helper, off the way of requests: log, counts, metrics. */
export const observer: Part = {
  name: 'observer',
  about: (machine, { mode, settings }) => ({
    title: 'Observer',
    what: mode === 'proxy' && settings.observer === 'on' ? 'keeps the log, counts, warns' : 'goes',
    where: tilde(machine, dirname(places(machine).logs)),
  }),
  steps(machine, setup): Check[] {
    const steps = job(machine, setup)
    if (setup.mode !== 'proxy' || setup.settings.observer === 'off') return [absent(steps)]
    return [portFree(machine, setup), steps.file, { ...steps.run, needs: ['runtime.copy'] }]
  },
  checks: (machine, setup) =>
    setup.mode === 'proxy' && setup.settings.observer === 'on'
      ? [works(), whole(machine), ...told(setup.settings)]
      : [],
}
