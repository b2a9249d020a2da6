import type { Process } from './platform.ts'

/** Reads `ps -o pid=,ppid=,user=,args=`. */
export function parseProcesses(text: string): Process[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, user = '', args = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s(.*)$/.exec(line) ?? []
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), user, args: args.trim() }]
  })
}
