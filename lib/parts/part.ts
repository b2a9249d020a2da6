import type { Look } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import type { Check } from '../steps/step.ts'

/** A question before the plan; `initial` is what Enter and --yes take. */
export type Question =
  | {
      id: 'proxy' | 'expose' | 'stopOther' | 'power'
      kind: 'confirm'
      text: string
      initial: boolean
    }
  | { id: 'keepEdited'; kind: 'confirm'; text: string; initial: boolean; path: string }
  | {
      id: 'models'
      kind: 'model'
      text: string
      choices: { value: string; name: string; short?: string }[]
      initial: string
    }

/** What a part is to a person: a name, what it does there in a few words, and where. */
export interface About {
  title: string
  what: string
  where: string
}

/** One outside thing or concern, with everything about it in one file. */
export interface Part {
  name: string
  about(machine: Machine, setup: Setup): About
  /** what must hold, in order; those with `apply` are made so */
  steps(machine: Machine, setup: Setup): Check[]
  /** what no step implies; run by test.ts and at the end of install */
  checks?(machine: Machine, setup: Setup): Check[]
  questions?(look: Look, machine: Machine, setup: Setup): Promise<Question[]>
}
