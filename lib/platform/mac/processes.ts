import type { Processes } from '../platform.ts'
import { parseProcesses } from '../ps.ts'

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
