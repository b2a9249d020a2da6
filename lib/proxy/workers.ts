import type { Look } from '../host.ts'
import { places } from '../places.ts'

/** What the master answers; for one worker the command begins with `@!PID`. */
export const askMaster = (look: Look, command: string) => look.ask(places(look.home).masterSocket, command)

/** What the master says of its processes; while it takes in a new configuration it is silent for a moment (5 s at most). Empty when nothing runs. */
async function processes(look: Look): Promise<string> {
  let said = ''
  const named = async () => {
    said = (await askMaster(look, 'show proc')) ?? ''
    return workers(said).length > 0
  }
  if (!(await named()) && (await look.stat(places(look.home).masterSocket)))
    await look.until('the master names its workers', 5000, named)
  return said
}

/** Pids of all workers that the master has. None when nothing runs. */
export const workersOf = async (look: Look): Promise<string[]> => workers(await processes(look))

/** Pids of all workers, old ones included, as `show proc` lists them. */
export const workers = (text: string): string[] =>
  text.split('\n').flatMap((line) => /^(\d+)\s+worker\b/.exec(line)?.[1] ?? [])

/** How many workers of earlier configurations still serve streams. */
export async function oldWorkers(look: Look): Promise<number> {
  const [, old = ''] = (await processes(look)).split('# old workers')
  return workers(old.split('# programs')[0] ?? '').length
}
