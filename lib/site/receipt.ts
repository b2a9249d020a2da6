import { z } from 'zod'

const stopped = z.object({ what: z.string(), back: z.array(z.string()) })

/** The file's form. */
export const receipt = z.object({
  version: z.literal(1),
  /** how Ollama is reached from outside: through the proxy, not at all, or without any protection */
  mode: z.enum(['proxy', 'local', 'exposed']),
  /** SHA-256 of every file as we wrote it, or are about to */
  files: z.record(z.string(), z.string()),
  /** what those files were before: a kill may come between the receipt and the write */
  before: z.record(z.string(), z.string()).default({}),
  /** folders that we made */
  folders: z.array(z.string()).default([]),
  /** links that we made outside of our folders */
  links: z.array(z.string()).default([]),
  /** settings of the machine that we changed with consent, by the step, and what it saw before */
  changed: z.record(z.string(), z.string()).default({}),
  /** questions that were answered with no, and are not asked again */
  declined: z.array(z.string()).default([]),
  /** what install stopped, and the command that brings it back */
  stopped: z.array(stopped),
  /** packages that install brought, by their names there */
  brought: z.array(z.string()).default([]),
  backups: z.array(z.object({ original: z.string(), backup: z.string() })),
})

/** What install did, for the next run and for uninstall. */
export type Receipt = z.infer<typeof receipt>
export type Mode = Receipt['mode']

export const emptyReceipt = (): Receipt => ({
  version: 1,
  mode: 'proxy',
  files: {},
  before: {},
  folders: [],
  links: [],
  declined: [],
  changed: {},
  stopped: [],
  brought: [],
  backups: [],
})
