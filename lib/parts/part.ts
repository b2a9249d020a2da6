import type { Look } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import type { Check } from '../steps/step.ts'

/** A question before the plan; `initial` is what Enter and --yes take. */
export type Question =
  | {
      id: 'proxy' | 'expose' | 'stopOther' | 'power' | 'firewall'
      kind: 'confirm'
      text: string
      before?: string
      initial: boolean
    }
  | { id: 'keepEdited'; kind: 'confirm'; text: string; before?: string; initial: boolean; path: string }
  | { id: 'models'; kind: 'choose'; text: string; choices: { value: string; name: string; checked: boolean }[] }

/** One outside thing or concern, with everything about it in one file. */
export interface Part {
  name: string
  /** what must hold, in order; those with `apply` are made so */
  steps(machine: Machine, setup: Setup): Check[]
  /** what no step implies; run by test.ts and at the end of install */
  checks?(machine: Machine, setup: Setup): Check[]
  questions?(look: Look, machine: Machine, setup: Setup): Promise<Question[]>
}
