import type { Registry } from './limits.ts'
import type { Mode, Receipt } from './receipt.ts'
import type { Kinds } from './service-kinds.ts'
import type { Settings } from './settings.ts'

/** Templates of the project, read once by the caller. */
export interface Templates {
  config: string
  frontend: string
}

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
  /** the settings with every default, as they are shipped */
  defaults: string
  mode: Mode
  receipt: Receipt
  /** the API keys, by their hashes */
  registry: Registry
  answers: Answers
  templates: Templates
  /** the recipes of services */
  kinds: Kinds
  /** templates of the jobs' files, by label */
  jobs: Record<string, string>
  /** folder of the scripts that run, and the name of the runtime copy made from it */
  checkout: string
  version: string
  /** a person sits at the terminal */
  attended: boolean
  /** stable paths of the programs that jobs run */
  programs: { ollama: string; haproxy: string; node: string }
  /** says something in the midst of the work */
  say?(text: string): void
  /** shows how far a long step is */
  progress?(text: string): void
  /** asks in the middle of the work; absent when nobody is there */
  confirm?(text: string): Promise<boolean>
}
