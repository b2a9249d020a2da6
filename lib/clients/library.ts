import type { Client, Connection } from './client.ts'

/** Makes records of libraries of one language, each by what its snippet says. */
export const libraryIn =
  (where: 'JavaScript' | 'Python') =>
  (
    name: string,
    title: string,
    run: string,
    groups: Client['groups'],
    text: (to: Connection) => string,
    ...notes: string[]
  ): Client => ({
    ...{ name, title, kind: 'library', groups, notes },
    snippets: (to) => [{ where, text: text(to) }],
    seen: { run },
  })
