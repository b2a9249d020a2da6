import type { Look } from '../host/host.ts'
import type { Registry } from '../keys/registry.ts'
import type { Machine } from '../machine.ts'
import type { Templates } from '../proxy/config.ts'
import type { Settings } from '../settings.ts'
import type { Mode, Receipt } from '../state.ts'
import type { Check } from '../step.ts'

/** What the person decided, by flag, by answer or by default. */
export interface Answers {
  /** another Ollama may be stopped */
  stopOther: boolean
  /** files edited by hand that stay as they are */
  keepEdited: string[]
  /** switch sleep off */
  power: boolean
  /** let HAProxy through the application firewall */
  firewall: boolean
  /** Ollama may be restarted although answers are running */
  cutStreams: boolean
}

export const noAnswers: Answers = { stopOther: false, keepEdited: [], power: false, firewall: false, cutStreams: false }

/** All that the steps of a part are made from, beside the machine. */
export interface Setup {
  settings: Settings
  settingsText: string
  mode: Mode
  receipt: Receipt
  /** the API keys, by their hashes */
  registry: Registry
  answers: Answers
  templates: Templates
  agents: Record<string, string>
  /** folder of the scripts that run, and the name of the runtime copy made from it */
  checkout: string
  version: string
  /** a person sits at the terminal */
  attended: boolean
  /** stable paths of the programs that jobs run */
  programs: { ollama: string; haproxy: string; node: string }
  /** shows progress of a long step */
  say?(text: string): void
  /** asks in the middle of the work; absent when nobody is there */
  confirm?(text: string): Promise<boolean>
}

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
