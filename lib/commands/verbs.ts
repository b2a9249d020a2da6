import { runScript, type Script } from './cli.ts'

export interface Verb {
  /** what it does, in a line */
  what: string
  script(): Promise<Script>
}

/** All that a person may type, in the order in which they need it. */
export const verbs = {
  install: {
    what: 'set this machine up, or bring it up to date',
    script: async () => (await import('./install.ts')).script,
  },
  status: { what: 'whether all is well, and what is not', script: async () => (await import('./status.ts')).script },
  doctor: {
    what: 'what is wrong, why, and what to do',
    script: async () => (await import('./doctor.ts')).script,
  },
  test: { what: 'prove every promise on this machine', script: async () => (await import('./test.ts')).script },
  apply: { what: 'bring changed settings into effect', script: async () => (await import('./apply.ts')).script },
  keys: { what: 'API keys: add, list, limit, revoke', script: async () => (await import('./keys.ts')).script },
  certificates: {
    what: 'certificates: what is served, renew, root',
    script: async () => (await import('./certificates.ts')).script,
  },
  dns: { what: 'the DNS records of its names', script: async () => (await import('./dns.ts')).script },
  recipe: {
    what: 'files of services that stand behind it',
    script: async () => (await import('./recipe.ts')).script,
  },
  nodes: {
    what: 'engines behind this gateway: list, add, drain',
    script: async () => (await import('./nodes.ts')).script,
  },
  pair: {
    what: 'carry settings and keys to the other of two gateways',
    script: async () => (await import('./pair.ts')).script,
  },
  vip: {
    what: 'the address of two gateways: who has it, move it',
    script: async () => (await import('./vip.ts')).script,
  },
  connect: {
    what: 'what to paste into a client',
    script: async () => (await import('./connect.ts')).script,
  },
  launch: {
    what: 'start a client for a server, its settings untouched',
    script: async () => (await import('./launch.ts')).script,
  },
  warm: { what: 'download and load models', script: async () => (await import('./warm.ts')).script },
  upgrade: {
    what: 'what is newer, and bring it',
    script: async () => (await import('./upgrade.ts')).script,
  },
  backup: {
    what: 'save settings, keys and people to one file',
    script: async () => (await import('./backup.ts')).script,
  },
  restore: {
    what: 'bring them back, here or on another machine',
    script: async () => (await import('./restore.ts')).script,
  },
  uninstall: { what: 'remove all of it', script: async () => (await import('./uninstall.ts')).script },
} satisfies Record<string, Verb>

/** Runs one of them; what it was told comes as on a command line. */
export const runVerb = async (verb: keyof typeof verbs, argv: string[]): Promise<void> =>
  runScript(await verbs[verb].script(), argv)
