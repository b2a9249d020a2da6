import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../../box/paths.ts'
import { startGateway } from '../../lab/gateway.ts'
import type { Recorder } from '../../lab/recorder.ts'
import { type Mutant, mutantsOf } from './mutants.ts'
import { alter, noticed, type Variant, variants } from './suite.ts'

/** Why nobody notices that something is gone: a row of docs/mutations.md. */
export interface Reason {
  policy: string
  /** stands in what is gone; `…` is for anything in between, `$` for the end */
  pattern: string
  /** the versions of HAProxy that it is true of: `all`, `< 3.2` or `>= 3.2` */
  versions: string
  why: string
}

/** The rows of the table, with its `\|` and backticks undone. */
export function reasonsIn(markdown: string): Reason[] {
  return markdown.split('\n').flatMap((line) => {
    const found = /^\| (\S+) \| `(.+)` \| (all|[<>=]+ \d+\.\d+) \| (.+) \|$/.exec(line)
    const [, policy = '', pattern = '', versions = '', why = ''] = found ?? []
    return found ? [{ policy, pattern: pattern.replaceAll('\\|', '|'), versions, why }] : []
  })
}

export const reasons = (): Reason[] => reasonsIn(readFileSync(join(checkout, 'docs/mutations.md'), 'utf8'))

function isTrueOf(versions: string, [major, minor]: [number, number]): boolean {
  const [, sign, one, two] = /^([<>=]+) (\d+)\.(\d+)$/.exec(versions) ?? []
  const difference = major * 100 + minor - (Number(one) * 100 + Number(two))
  return sign === undefined || (sign === '<' ? difference < 0 : difference >= 0)
}

/** Whether a reason is about this mutant. */
export function explains(reason: Reason, mutant: Pick<Mutant, 'policy' | 'gone'>): boolean {
  if (reason.policy !== mutant.policy) return false
  if (reason.pattern.endsWith('$')) return mutant.gone.endsWith(reason.pattern.slice(0, -1))
  const places = reason.pattern.split('…').reduce((from, piece) => {
    const at = from < 0 ? -1 : mutant.gone.indexOf(piece.trim(), from)
    return at < 0 ? -1 : at + piece.trim().length
  }, 0)
  return places >= 0
}

export interface Survey {
  version: [number, number]
  mutants: Tried[]
}

/** A mutant with the gateway that it is tried on. */
export type Tried = Mutant & { variant: Variant }

/** Everything that can be taken away. Throws when the gateway with everything in place is not as the suite expects. */
export async function survey(engine: Recorder): Promise<Survey> {
  const found = [] as Survey[]
  for (const variant of variants) found.push(await surveyOf(engine, variant))
  return { version: found[0]?.version ?? [0, 0], mutants: found.flatMap(({ mutants }) => mutants) }
}

async function surveyOf(engine: Recorder, variant: Variant): Promise<Survey> {
  engine.answer = variant.answer
  const gateway = await startGateway({ ...variant.options, enginePort: engine.port })
  const { version } = gateway
  const all = mutantsOf({
    gateway: gateway.gateway,
    configuration: gateway.configuration,
    alter: variant.options.alter ?? alter,
    version,
  })
  await gateway.stop()
  const complaint = await surely(() => noticed(engine, variant))
  if (complaint) throw new Error(`with everything in place: ${complaint}`)
  return { version, mutants: all.filter(variant.tries).map((mutant) => ({ ...mutant, variant })) }
}

export interface Verdict {
  mutant: Tried
  /** who noticed; undefined when it survived */
  by?: string
  reason?: Reason
}

const about = (complaint: string): string => complaint.slice(0, complaint.indexOf(': '))

/** A complaint that is about the same each of four times; a machine that is busy has one about something now and then. */
export async function surely(once: () => Promise<string | undefined>): Promise<string | undefined> {
  const first = await once()
  for (let tries = 1; first !== undefined && tries < 4; tries++) {
    const again = await once()
    if (again === undefined || about(again) !== about(first)) return undefined
  }
  return first
}

/** Takes each away, so many at once as there are engines. One that is explained is noticed only where that holds: then the explanation is stale. */
export async function judge(
  engines: Recorder[],
  { version }: Survey,
  mutants: Tried[],
  tell: (verdict: Verdict) => void = () => {},
): Promise<Verdict[]> {
  const known = reasons().filter(({ versions }) => isTrueOf(versions, version))
  const verdicts: Verdict[] = []
  let next = 0
  const work = async (engine: Recorder) => {
    for (let mutant = mutants[next++]; mutant; mutant = mutants[next++]) {
      const tried = mutant
      const reason = known.find((one) => explains(one, tried))
      const once = () => noticed(engine, tried.variant, tried)
      const by = await (reason ? surely(once) : once())
      verdicts.push({ mutant: tried, by, reason })
      tell({ mutant: tried, by, reason })
    }
  }
  await Promise.all(engines.map(work))
  return verdicts
}

/** What must not be: survivors without a reason, reasons that were refuted, and reasons that explain nothing at all. */
export function faults({ version, mutants }: Survey, verdicts: Verdict[]): string[] {
  const unexplained = verdicts.filter(({ by, reason }) => !by && !reason)
  const refuted = verdicts.filter(({ by, reason }) => by && reason)
  const idle = reasons().filter(
    (reason) => isTrueOf(reason.versions, version) && !mutants.some((mutant) => explains(reason, mutant)),
  )
  return [
    ...unexplained.map(({ mutant }) => `nobody notices: ${mutant.policy} | ${mutant.gone}`),
    ...refuted.map(({ mutant, by }) => `explained, but noticed (${by}): ${mutant.policy} | ${mutant.gone}`),
    ...idle.map(({ policy, pattern }) => `explains nothing: ${policy} | ${pattern}`),
  ]
}
