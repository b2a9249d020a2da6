/** The scripts of a checkout, by verb; what came later has none of its own. */
const scripts: Record<string, string> = {
  install: 'install.ts',
  uninstall: 'uninstall.ts',
  test: 'test.ts',
  status: 'status.ts',
  apply: 'apply.ts',
  keys: 'keys.ts',
  warm: 'warm-models.ts',
}

// templates/bin/rop and the jobs say how they were called; a script of a checkout says nothing.
let way = process.env.ROP_TYPED

/** `npx remote-ollama-proxy` is typed no more once an install has put this command on the PATH; a checkout keeps its own. */
export function onPathAs(command: string): void {
  if (way) way = command
}

/** How a command of ours is typed here. */
export type Named = (command: string) => string

/** Where another name is known to work: at the end of an install `rop` is on the PATH. */
export const asRop = (command: string): string => `rop ${command}`

/** A command of ours by the name that it has where this process was started: `rop keys` or `keys.ts`. */
export function called(command: string): string {
  const [verb = '', ...rest] = command.split(' ')
  return [way ? `${way} ${verb}` : (scripts[verb] ?? `rop.ts ${verb}`), ...rest].join(' ')
}

/** The same as a person types it: `rop keys add bob` or `npx tsx keys.ts add bob`. */
export const typed = (command: string): string => `${way ? '' : 'npx tsx '}${called(command)}`
