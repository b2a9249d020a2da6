import type { Processes } from '../platform.ts'
import { parseProcesses } from '../ps.ts'

export const processes: Processes = {
  all: async (look) => parseProcesses((await look.query(['ps', '-wweo', 'pid=,ppid=,user:32=,args='])).stdout),
  name: ({ args }) => (args.split(/\s/)[0] ?? '').replace(/^-/, '').replace(/:$/, '').split('/').pop() ?? '',
  isSystem: ({ args }) => /^(\[|\/(usr\/)?lib\/systemd\/)/.test(args),
}
