import { type Output, Unexpected } from '../lib/host/command.ts'
import { type Host, realLook } from '../lib/host/host.ts'

export interface Memory {
  files: Map<string, string>
  /** what commands answer, by the words they begin with; the last match wins, an unknown one is code 127 */
  commands: Record<string, Partial<Output> | (() => Partial<Output>)>
  /** every command that changed something */
  ran: string[]
}

/** A machine of files in a map and commands in a table, for everything about order and failure. */
export function memoryHost(memory: Partial<Memory> = {}): Host & Memory {
  const files = memory.files ?? new Map<string, string>()
  const commands = memory.commands ?? {}
  const ran: string[] = []
  const answer = (argv: string[]): Output => {
    const words = argv.join(' ')
    const key = Object.keys(commands)
      .filter((start) => words.startsWith(start))
      .at(-1)
    const found = key === undefined ? { code: 127 } : commands[key]
    return { code: 0, stdout: '', stderr: '', ...(typeof found === 'function' ? found() : found) }
  }
  return {
    ...realLook(),
    files,
    commands,
    ran,
    home: '/Users/ada',
    system: 'mac',
    query: async (argv) => answer(argv),
    read: async (file) => files.get(file),
    async stat(file) {
      if (files.has(file)) return { kind: 'file', mode: 0o600, uid: 501, size: files.get(file)?.length ?? 0 }
      return [...files.keys()].some((name) => name.startsWith(`${file}/`))
        ? { kind: 'folder', mode: 0o700, uid: 501, size: 0 }
        : undefined
    },
    find: async (candidates) => candidates.find((name) => files.has(name)),
    list: async (folder) =>
      [
        ...new Set(
          [...files.keys()]
            .filter((name) => name.startsWith(`${folder}/`))
            .map((name) => name.slice(folder.length + 1).split('/')[0] ?? ''),
        ),
      ].sort(),
    free: async () => 1e12,
    ask: async () => undefined,
    asking: async () => undefined,
    async until(_what, _ms, test) {
      for (let tries = 0; tries < 5; tries += 1) if (await test()) return true
      return false
    },
    async run(argv, options = {}) {
      ran.push(argv.join(' '))
      const output = answer(argv)
      if ((options.codes ?? [0]).includes(output.code)) return output
      throw new Unexpected(argv, output)
    },
    write: async (file, text) => void files.set(file, text),
    folder: async () => {},
    link: async () => {},
    async move(from, to) {
      files.set(to, files.get(from) ?? '')
      files.delete(from)
    },
    copy: async (from, to) => void files.set(to, files.get(from) ?? ''),
    async remove(file) {
      for (const name of [...files.keys()]) if (name === file || name.startsWith(`${file}/`)) files.delete(name)
    },
    post: async () => 200,
    tell: async () => '',
    telling: async () => undefined,
    async wake() {},
    beside: () => () => {},
  }
}
