import { parseArgs } from 'node:util'
import { ending, gateway, script } from './mac.ts'
import { keep, type Step, step } from './step.ts'
import { tell } from './tolerated.ts'

interface Document {
  results: { id: string; title: string; state: string; saw: string }[]
}

/** Runs test.ts, and counts each of its checks as one of this step. */
async function prove(row: Step, name: string, words: string[]): Promise<void> {
  const said = await script('test.ts', '--json', ...words)
  row.keep(`${name}.json`, said.stdout)
  const { results } = said.stdout.startsWith('{') ? (JSON.parse(said.stdout) as Document) : { results: [] }
  row.holds(`test.ts ${words[0] ?? ''} says what it saw`, results.length > 0, ending(said))
  for (const { id, title } of results.filter(({ state }) => state === 'ok')) row.holds(`${title} [${id}]`, true)
  for (const { id, saw } of results.filter(({ state }) => state === 'skipped')) row.skip(id, saw)
  await tell(
    row,
    results.filter(({ state }) => state === 'missed'),
  )
}

/** Step 7: everything that test.ts promises, through the real gateway; `--only ID` for a part of it. */
await step('proof', async (row) => {
  const { only = [] } = parseArgs({ options: { only: { type: 'string', multiple: true } } }).values
  if (!(await gateway(row))) return
  const part = only.flatMap((id) => ['--only', id])
  await prove(row, 'disturbing', ['--disturbing', '--junit', keep('proof/junit.xml', ''), ...part])
  await prove(row, 'hostile', ['--hostile', ...part])
})
