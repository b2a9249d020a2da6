import { parseArgs } from 'node:util'
import fc, { type RunDetails } from 'fast-check'
import { program } from '../../box/paths.ts'
import { bodies } from './bodies.ts'
import { type Decoder, type Opinions, startDecoder } from './decoder.ts'
import { isHole, type Judge, type Judgement, startJudge } from './judge.ts'
import { bytes, record } from './vectors.ts'

const usage = `npm run differential -- [--runs 50000] [--seed N [--path P]] [--record]
Sends hostile bodies to a real HAProxy with a key that has a model list, and to Go's decoders, and fails on one that
HAProxy lets through though a decoder reads another model. --record writes the vectors of npm test anew.
`

const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Counts {
  /** passed, and Go reads the judged model */
  same: number
  /** passed, and Go reads nothing: an error of Ollama's */
  nothing: number
  /** refused, and Go reads a model */
  refused: number
  /** refused, and Go reads nothing, either */
  broken: number
}

function kind({ passed }: Judgement, [model]: Opinions): keyof Counts {
  if (passed) return model === null ? 'nothing' : 'same'
  return model === null ? 'broken' : 'refused'
}

/** One body in hand of both; throws when HAProxy's judgement is not what Go decodes. */
async function compare(judge: Judge, decoder: Decoder, body: string, counts: Counts): Promise<void> {
  const [judgement, opinions] = await Promise.all([judge.ask(bytes(body)), decoder.decode(bytes(body))])
  counts[kind(judgement, opinions)] += 1
  if (!isHole(judgement, opinions)) return
  const { status, judged } = judgement
  throw new Error(`HAProxy: ${status}, judged ${JSON.stringify(judged)}; Go: ${JSON.stringify(opinions)}`)
}

/** A run in which next to nothing passed proves nothing. */
const provesNothing = (counts: Counts): boolean =>
  counts.same < (counts.same + counts.nothing + counts.refused + counts.broken) / 20

function report(details: RunDetails<[string]>, counts: Counts, ms: number): boolean {
  say(
    `${details.numRuns} bodies in ${(ms / 1000).toFixed(0)} s (seed ${details.seed}): ` +
      `${counts.same} passed with the model that Go decodes, ${counts.nothing} passed that Go does not decode, ` +
      `${counts.refused} refused that Go decodes, ${counts.broken} refused that Go does not decode`,
  )
  if (details.failed) {
    const [body = ''] = details.counterexample ?? []
    say(`A HOLE: ${details.errorInstance}\nbody: ${JSON.stringify(body.slice(0, 2000))}`)
    say(`again: npm run differential -- --seed ${details.seed} --path ${details.counterexamplePath}`)
    return false
  }
  if (provesNothing(counts)) {
    say('NOT PROVEN: fewer than one body in twenty passed.')
    return false
  }
  say('No body passed whose decoded model is not the judged one.')
  return true
}

async function search(judge: Judge, decoder: Decoder, options: fc.Parameters<[string]>): Promise<boolean> {
  const counts: Counts = { same: 0, nothing: 0, refused: 0, broken: 0 }
  const property = fc.asyncProperty(bodies, (body) => compare(judge, decoder, body, counts))
  const started = performance.now()
  const details = await fc.check(property, options)
  return report(details, counts, performance.now() - started)
}

interface Options {
  runs?: string
  seed?: string
  path?: string
  record?: boolean
}

async function run({ runs, seed: given, path, record: recording }: Options, decoder: Decoder): Promise<boolean> {
  const numRuns = Number(runs ?? 50_000)
  const seed = Number(given ?? Math.floor(Math.random() * 2 ** 31))
  const judge = await startJudge()
  try {
    if (!recording) return await search(judge, decoder, { numRuns, seed, path })
    say(`${await record(judge, decoder, seed)} vectors recorded (seed ${seed})`)
    return true
  } finally {
    await judge.stop()
  }
}

const whole = (text: string | undefined): boolean => text === undefined || /^-?\d+$/.test(text)

/** The exit code: 1 a hole, or not proven; 2 wrong usage; 3 no Go. */
async function main(): Promise<number> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({ options: { runs: text, seed: text, path: text, record: flag, help: flag } })
  const right = whole(values.runs) && whole(values.seed) && values.runs !== '0'
  if (values.help || !right) {
    say(usage)
    return right ? 0 : 2
  }
  const go = program('go')
  if (!go) {
    say('There is no Go on the PATH (https://go.dev/doc/install). npm test checks the recorded vectors without it.')
    return 3
  }
  // First: compiling keeps this process from answering HAProxy's health checks.
  const decoder = startDecoder(go)
  try {
    return (await run(values, decoder)) ? 0 : 1
  } finally {
    await decoder.stop()
  }
}

process.exitCode = await main()
