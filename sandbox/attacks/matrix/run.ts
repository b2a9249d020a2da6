import { parseArgs } from 'node:util'
import { Macs, programs } from './campaign.ts'
import { combinations, refused, spelled } from './combinations.ts'
import type { Verdict } from './life.ts'
import { type Combination, refusals } from './refusals.ts'
import { smallest } from './smallest.ts'

const usage = `npm run matrix -- [options]: combinations of settings, keys, people and HAProxy, each of two values at least once, lived through in a Mac in a box.

  --seed TEXT          other combinations; the same for the same text (1 unless told)
  --count N            the first N of them
  --from N             begin with combination N
  --only N             combination N alone, on a Mac of its own
  --haproxy VERSIONS   those with one of these, such as 2.6,3.4
  --list               says them and runs nothing
  --as-found           looks for no smallest reproduction of a red one
`
const { values } = parseArgs({
  options: {
    ...{ seed: { type: 'string', default: '1' }, count: { type: 'string' }, from: { type: 'string', default: '1' } },
    ...{ only: { type: 'string' }, haproxy: { type: 'string' }, list: { type: 'boolean' } },
    ...{ 'as-found': { type: 'boolean' }, help: { type: 'boolean' } },
  },
})
const say = (text: string) => process.stdout.write(`${text}\n`)

type Red = Extract<Verdict, { is: 'red' }>

interface Numbered {
  number: number
  combination: Combination
}

/** Those that are asked for, by HAProxy, so that few Macs are made. */
function chosen(versions: string[]): Numbered[] {
  const all = [...combinations(values.seed, versions), ...refused(versions)]
  const wanted = values.haproxy?.split(',') ?? versions
  const first = Number(values.only ?? values.from)
  return all
    .map((combination, at) => ({ number: at + 1, combination }))
    .filter(({ number }) => (values.only ? number === first : number >= first))
    .filter(({ combination }) => wanted.includes(`${combination.haproxy}`))
    .slice(0, values.count === undefined ? undefined : Number(values.count))
    .sort((one, other) => `${one.combination.haproxy}`.localeCompare(`${other.combination.haproxy}`))
}

const words = (verdict: Verdict): string =>
  verdict.is === 'green'
    ? 'green'
    : verdict.is === 'refused'
      ? `refused: ${verdict.why}`
      : `RED at ${verdict.step}: ${verdict.saw}`

/** What was seen first, without its numbers and texts: the id of a check, or the beginning of a sentence. */
const kind = ({ step, saw }: Red): string => `${step}: ${/^[^:\d]*/.exec(saw)?.[0]}`

async function shrink(macs: Macs, { number, combination }: Numbered, red: Red): Promise<void> {
  const least = await smallest(combination, async (one) => {
    const found = await macs.live(one, red.step)
    return found.is === 'red' && kind(found) === kind(red)
  })
  say(`the smallest of ${number} that is red at ${kind(red)}: ${spelled(least)}`)
}

async function all(): Promise<void> {
  const found = await programs(say)
  const versions = [...found.keys()]
  const list = chosen(versions)
  say(`${list.length} combinations; the same again: npm run matrix -- --seed ${values.seed}, with HAProxy ${versions}`)
  if (values.list) {
    for (const { number, combination } of list) say(`${number}  ${spelled(combination)}`)
    return
  }
  const macs = new Macs(found)
  const verdicts: [Numbered, Verdict][] = []
  try {
    for (const one of list) {
      const began = performance.now()
      const verdict = await macs.live(one.combination)
      verdicts.push([one, verdict])
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      say(`${one.number}  ${words(verdict)}  (${seconds} s)  ${spelled(one.combination)}`)
    }
    summary(verdicts.map(([, verdict]) => verdict))
    // One of each kind.
    const kinds = new Map(
      verdicts.flatMap(([one, verdict]) => (verdict.is === 'red' ? [[kind(verdict), { one, verdict }]] : [])),
    )
    if (!values['as-found']) for (const { one, verdict } of kinds.values()) await shrink(macs, one, verdict)
  } finally {
    await macs.close()
  }
}

function summary(verdicts: Verdict[]): void {
  const count = (is: Verdict['is']) => verdicts.filter((verdict) => verdict.is === is).length
  say(`\n${count('green')} green, ${count('refused')} refused, ${count('red')} red`)
  for (const { why } of refusals) {
    const times = verdicts.filter((verdict) => verdict.is === 'refused' && verdict.why === why).length
    if (times > 0) say(`refused ${times} times: ${why}`)
  }
  process.exitCode = count('red') > 0 ? 1 : 0
}

if (values.help) say(usage)
else await all()
