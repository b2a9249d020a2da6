import type { Group } from '../site/endpoints.ts'

/** What a client is told: where, which model, by which key. */
export interface Connection {
  /** the gateway's address without a path, such as http://studio.tail1234.ts.net:11434 */
  base: string
  model: string
  /** tokens of context that a model gets here */
  context: number
  /** absent where no key is asked for; most clients still want some word, and are given `ollama` */
  key?: string
}

/** Text to paste, and where it goes. */
export interface Snippet {
  /** a file such as ~/.codex/config.toml, `shell`, `JavaScript`, `Python`, or a page of settings as the client calls it */
  where: string
  text: string
  /** one of the two is enough, this or the one before */
  instead?: true
}

/** How a client's program is started for one run, without a change to the person's own settings. */
export interface Launch {
  program: string
  /** how to get it, in a command */
  get: string
  /** set for it alone; undefined is taken out, so that what the person has for another server does not win. The key is in `keyVariable`, too. */
  env(to: Connection, files: Record<string, string>): Record<string, string | undefined>
  /** its first words; never the key, which every user of the machine could see there */
  args(to: Connection): string[]
  /** files of ours that it reads, by name, without the key; they are known to `env` by their paths */
  files?(to: Connection): Record<string, string>
}

/** A program that asks models, known by name: what it is told, what it needs, and what does not work. */
export interface Client {
  /** as it is typed: codex */
  name: string
  /** as its makers write it: Codex */
  title: string
  kind: 'agent' | 'editor' | 'chat' | 'library' | 'automation' | 'phone'
  /** groups of the endpoint table that it asks, first the one that its questions go to; what settings.yaml does not open it will miss */
  groups: Group[]
  /** empty where it cannot be connected */
  snippets(to: Connection): Snippet[]
  /** what is worth knowing before it surprises, a sentence each */
  notes?: string[]
  /** why it cannot be connected */
  never?: string
  /** absent where it is set up once and started as ever */
  launch?: Launch
  /** how it is known that this works: the version that was run against the gateway, or where it was read */
  seen: { run: string } | { read: string }
}

/** The word that stands where no key is asked for. */
export const keyOf = ({ key }: Connection): string => key ?? 'ollama'

/** The variable that holds the key for a client that is launched. */
export const keyVariable = 'ROP_API_KEY'

/** JSON as people read it. */
export const pretty = (value: unknown): string => JSON.stringify(value, null, 2)
