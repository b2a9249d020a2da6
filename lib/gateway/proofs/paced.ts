import { places } from '../../platform/here.ts'
import { type Check, missed, ok, unexplained } from '../../steps/step.ts'
import type { ProbeKeys } from './probe-keys.ts'
import { busy, probeModel, taken } from './refused.ts'
import { bearer, modelRows, type Target } from './target.ts'

/** Where a filter counts the bytes that it lets through, and for whom. */
export interface Paced {
  table: string
  key: keyof ProbeKeys
  /** what its entry is called, or begins with */
  entry: string
  /** the group whose rows are asked; any when absent */
  group?: string
}

/** How slow an answer becomes is for a test with time; that its filter counts it can be seen at once. */
export const paced = (target: Target, { table, key, entry, group }: Paced): Check[] =>
  modelRows(target)
    .filter((row) => group === undefined || row.group === group)
    .slice(0, 1)
    .map((row) => ({
      id: `bandwidth.${group ?? 'person'}`,
      title: `Answers pass the limit of bytes a second of ${group ? `the group ${group}` : 'each person'}`,
      needs: ['haproxy.service'],
      async check(look) {
        const answer = await probeModel(look, target, row, bearer(target, key))
        if (await busy(look, answer)) return taken
        const rows = (await look.ask(places(look).adminSocket, `show table ${table}`)) ?? ''
        return rows.includes(` key=${entry}`) ? ok('counted') : missed(`${answer.status}, and not counted`, unexplained)
      },
    }))
