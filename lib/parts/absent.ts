import type { Host, Look } from '../host/host.ts'
import { jobPath, labels } from '../platform/here.ts'
import type { Role } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { again, isStep, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part } from './part.ts'

/** Whether an earlier role wrote this job. */
export const leftBehind = (machine: Machine, setup: Setup, label: Role): boolean =>
  jobPath(machine, labels(machine)[label]) in setup.receipt.files

/** A part that this machine's role has not: nothing of it is looked at, and the job that an earlier role left of it goes. */
export const absent = (part: Part, label: Role): Part => ({
  ...{ name: part.name, about: part.about },
  steps(machine, setup) {
    const ours = leftBehind(machine, setup, label)
    const jobs = part
      .steps(machine, setup)
      .filter(isStep)
      .filter(({ id, undo, keeps }) => /\.(job|service)$/.test(id) && undo && !keeps)
      .toReversed()
    const left = async (look: Look): Promise<Step[]> => {
      const found = await Promise.all(jobs.map(async (step) => ours && (await step.gone?.(look))?.is === 'missed'))
      return jobs.filter((_, at) => found[at])
    }
    return [
      {
        id: `${part.name}.absent`,
        title: `${part.about(machine, setup).title}: not on this machine, as role: gateway says`,
        check: async (look: Look) =>
          (await left(look)).length === 0 ? ok('the engines are nodes') : missed('an earlier role left it', again),
        async apply(host: Host) {
          for (const step of await left(host)) await step.undo?.(host)
        },
      },
    ]
  },
})

/** What is left of steps that the settings no longer ask for: each takes back what it made. */
export function leaving(steps: Step[]): Step[] {
  return steps.map((step) => ({
    ...step,
    title: step.undone ?? step.title,
    needs: [],
    check: async (look) => {
      const found = (await step.gone?.(look)) ?? ok('gone')
      return found.is === 'ok' ? skipped('the settings say off') : missed(found.is === 'missed' ? found.saw : '', again)
    },
    apply: async (host) => step.undo?.(host),
  }))
}
