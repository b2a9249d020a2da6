import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { checkout } from '../../box/paths.ts'
import { bodies } from './bodies.ts'
import { classics } from './classics.ts'
import type { Decoder, Opinions } from './decoder.ts'
import { isHole, type Judge, startJudge } from './judge.ts'
import { weakened } from './weakened.ts'

/** A recorded body (a text of bytes, latin1), what Go's decoders take for its model, and whether HAProxy lets it through. */
export interface Vector {
  body: string
  opinions: Opinions
  passes: boolean
}

const file = join(checkout, 'sandbox/attacks/differential/vectors.json')
const longest = 600
const mostBytes = 200_000
const share = { each: 10, passing: 140, refused: 80 }

/** The vectors as they were recorded. */
export const readVectors = (): Vector[] =>
  (JSON.parse(readFileSync(file, 'utf8')) as [string, Opinions, boolean][]).map(([body, opinions, passes]) => ({
    ...{ body, opinions, passes },
  }))

export const bytes = (body: string): Buffer => Buffer.from(body, 'latin1')

/** A vector that a judge reads otherwise than Go; `passed` tells whether it reached the engine, too. */
export interface Hole {
  vector: Vector
  passed: boolean
}

/** The vectors that a judge lets through though it should not, or would with another list of models. */
export async function holes(judge: Judge, vectors: Vector[]): Promise<Hole[]> {
  const found: Hole[] = []
  for (const vector of vectors) {
    const judgement = await judge.ask(bytes(vector.body))
    if (isHole(judgement, vector.opinions)) found.push({ vector, passed: judgement.passed })
  }
  return found
}

/** Bodies that a pattern with one thing forgotten lets through: without them nobody would notice. */
async function noticing(candidates: Vector[]): Promise<Vector[]> {
  const found: Vector[] = []
  for (const [name, pattern] of Object.entries(weakened)) {
    const judge = await startJudge(pattern)
    const these = (await holes(judge, candidates).finally(() => judge.stop())).filter(({ passed }) => passed)
    if (these.length === 0) throw new Error(`no body notices that the pattern forgets: ${name}`)
    found.push(...these.slice(0, share.each).map(({ vector }) => vector))
  }
  return found
}

const spread = <T>(all: T[], count: number): T[] => {
  const gap = Math.max(1, Math.floor(all.length / count))
  return all.filter((_one, at) => at % gap === 0).slice(0, count)
}

/** Tries many bodies, keeps the telling ones in vectors.json and gives how many. Throws when one of them is a hole. */
export async function record(judge: Judge, decoder: Decoder, seed: number): Promise<number> {
  const made = fc.sample(bodies, { seed, numRuns: 8000 }).filter((body) => body.length <= longest)
  const tried: Vector[] = []
  for (const body of new Set([...classics, ...made])) {
    const [judgement, opinions] = await Promise.all([judge.ask(bytes(body)), decoder.decode(bytes(body))])
    if (isHole(judgement, opinions)) throw new Error(`a hole: ${JSON.stringify(body)} ${JSON.stringify(opinions)}`)
    tried.push({ body, opinions, passes: judgement.passed })
  }
  const decoded = tried.filter(({ opinions: [model] }) => model !== null)
  const refused = tried.filter(({ passes }) => !passes)
  const chosen = new Set([
    ...tried.slice(0, classics.length),
    ...(await noticing(decoded.filter(({ passes }) => !passes))),
    ...spread(
      decoded.filter(({ passes }) => passes),
      share.passing,
    ),
    ...spread(refused, share.refused),
  ])
  save([...chosen])
  return chosen.size
}

function save(vectors: Vector[]): void {
  const lines = vectors.map(({ body, opinions, passes }) => JSON.stringify([body, opinions, passes]))
  const text = `[\n${lines.join(',\n')}\n]\n`
  if (Buffer.byteLength(text) > mostBytes) throw new Error(`the vectors are over ${mostBytes} bytes`)
  writeFileSync(file, text)
}
