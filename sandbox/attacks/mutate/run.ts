import { startRecorder } from '../../lab/recorder.ts'
import { faults, judge, survey, type Verdict } from './campaign.ts'

/** `npm run mutate`: takes everything away in turn; MUTATE names what is to be tried, by a part of its text. */
const wanted = process.env.MUTATE ?? ''
const verbose = process.argv.includes('--verbose')
const say = (text: string) => process.stdout.write(`${text}\n`)

function tell({ mutant, by, reason }: Verdict): void {
  if (verbose)
    say(`${by ? 'noticed' : 'SURVIVED'}  ${mutant.policy} | ${mutant.gone}\n          ${by ?? reason?.why ?? ''}`)
  else if (!by) say(`survived  ${mutant.policy} | ${mutant.gone}\n          ${reason?.why ?? 'NOT EXPLAINED'}`)
}

const engines = await Promise.all([startRecorder(), startRecorder()])
const started = performance.now()
try {
  const all = await survey(engines[0])
  const chosen = all.mutants.filter(({ policy, gone }) => `${policy} | ${gone}`.includes(wanted))
  say(`${chosen.length} of ${all.mutants.length} lines, parts of conditions and entries are taken away in turn`)
  const verdicts = await judge(engines, all, chosen, tell)
  const wrong = faults(all, verdicts)
  for (const fault of wrong) say(`NOT AS PROMISED: ${fault}`)
  const gone = verdicts.filter(({ by }) => by).length
  say(`${gone} noticed, ${verdicts.length - gone} survived, in ${((performance.now() - started) / 1000).toFixed(0)} s`)
  process.exitCode = wrong.length > 0 ? 1 : 0
} finally {
  for (const engine of engines) await engine.stop()
}
