import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Output } from '../../lib/host/command.ts'
import { ending, look, mac, run, script } from './mac.ts'
import type { Step } from './step.ts'

/** Checks that ask a model. */
const inference = /^(openai|anthropic|responses|completions|native|streaming|limits|loading|queue|models)\./

/**
 * Why a miss says nothing about this project here; undefined when it does. A hosted runner has three slow processors, and
 * on macOS 14 its paravirtual GPU computes wrong (llama.cpp#8617).
 */
function excuse(id: string, version: string): string | undefined {
  if (/^performance\./.test(id)) return 'the speed of this machine'
  return inference.test(id) && Number.parseInt(version, 10) <= 14
    ? 'inference on macOS 14 in a virtual machine'
    : undefined
}

export interface Miss {
  id: string
  saw: string
}

/** Tells every miss: as one, or as a note where this machine is to blame. */
export async function tell({ holds, note }: Step, misses: Miss[]): Promise<void> {
  const version = (await look.query(['sw_vers', '-productVersion'])).stdout.trim()
  for (const { id, saw } of misses) {
    const why = excuse(id, version)
    if (why === undefined) holds(id, false, saw)
    else note(`${id} missed: ${saw} (not counted: ${why})`)
  }
}

/** What the newest run of a script missed, from its log. */
function missesOf(script: string): Miss[] {
  const newest = readdirSync(mac.logs)
    .filter((name) => name.endsWith(`-${script}.log`))
    .sort()
    .at(-1)
  const text = newest === undefined ? '' : readFileSync(join(mac.logs, newest), 'utf8')
  return [...text.matchAll(/^\S+ missed ([\w.:-]+): (.*)$/gm)].map(([, id = '', saw = '']) => ({ id, saw }))
}

/** Runs install.ts, by itself or as bootstrap.sh does; what its proof missed and this machine is not to blame for is told. Gives what it said. */
export async function installs(row: Step, what: string, words: string[], from = 'install.ts'): Promise<Output> {
  const said = from === 'install.ts' ? await script(from, ...words) : await run([from, ...words])
  const misses = said.code === 1 ? missesOf('install') : []
  await tell(row, misses)
  row.holds(what, said.code === 0 || misses.length > 0, ending(said))
  return said
}
