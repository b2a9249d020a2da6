import type { Process, Processes } from '../platform.ts'

/** Reads `ps -o pid=,ppid=,user=,args=`. */
export function parseProcesses(text: string): Process[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, user = '', args = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s(.*)$/.exec(line) ?? []
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), user, args: args.trim() }]
  })
}

export const processes: Processes = {
  // Without -ww its lines are as wide as a terminal.
  all: async (look) => parseProcesses((await look.query(['ps', '-wwAo', 'pid=,ppid=,user=,args='])).stdout),
  name({ args }) {
    const bundled = /\/([^/]+)\.app\/Contents\//.exec(args)?.[1]
    const first = args.split(/\s/)[0] ?? ''
    return bundled ?? first.replace(/^-/, '').replace(/:$/, '').split('/').pop() ?? ''
  },
  isSystem: ({ args }) => /^\/(System|usr\/libexec)\//.test(args),
}
