import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { resultOf } from '../../../lib/checks/hostile/outcome.ts'
import { hostile } from '../../../lib/checks/hostile/table.ts'
import { checkout } from '../../box/paths.ts'
import { haproxy as usual } from '../../box/tools.ts'
import { startGateway } from '../../lab/gateway.ts'
import { attack } from '../../lab/judge.ts'
import { startRecorder } from '../../lab/recorder.ts'
import { haproxyOf, suites } from './debian.ts'

/** `npm run versions`: every story that runs a gateway, with each HAProxy; then the hostile requests that they answer differently. Names after it choose other stories, such as apply. */
const wanted = process.argv.slice(2)
const say = (text: string) => process.stdout.write(`${text}\n`)
const row = (...cells: string[]) => say(`| ${cells.join(' | ')} |`)

interface Candidate {
  version: string
  /** undefined is the usual one, which finds its libraries by the environment */
  haproxy?: string
}

const folder = join(checkout, 'sandbox/stories')
const runsGateway = (name: string): boolean => readFileSync(join(folder, name), 'utf8').includes('startGateway')
const stories = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts') && !name.startsWith('versions.'))
  .filter((name) => (wanted.length === 0 ? runsGateway(name) : wanted.some((part) => name.startsWith(part))))

async function candidates(): Promise<Candidate[]> {
  const found: Candidate[] = [{ version: (await usual()).version }]
  for (const suite of suites) {
    try {
      const haproxy = await haproxyOf(suite)
      const said = spawnSync(haproxy, ['-v'], { encoding: 'utf8' }).stdout
      found.push({ version: /version (\d+\.\d+\.\d+)/.exec(said)?.[1] ?? suite, haproxy })
    } catch (error) {
      say(`${suite} is skipped: ${(error as Error).message}`)
    }
  }
  return found
}

/** The closing line of a story's run: `N passed, N failed, N skipped`; what failed is shown. */
function verdict(story: string, { version, haproxy }: Candidate): string {
  const argv = ['vitest', 'run', '--project', 'stories', join('sandbox/stories', story)]
  const env = { ...process.env, ...(haproxy ? { HAPROXY: haproxy } : {}) }
  const { status, stdout, stderr } = spawnSync('npx', argv, { cwd: checkout, env, encoding: 'utf8' })
  if (status !== 0) {
    say(`\n${story} with HAProxy ${version}:\n${stdout}${stderr}`)
    process.exitCode = 1
  }
  const [, passed, failed, skipped] = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(stdout.trimEnd()) ?? []
  if (passed === undefined) return 'no result'
  return [
    passed,
    ...(failed === '0' ? [] : [`**${failed} failed**`]),
    ...(skipped === '0' ? [] : [`${skipped} skipped`]),
  ].join(', ')
}

/** What came of each hostile request, by name. */
async function outcomes({ haproxy }: Candidate): Promise<string[]> {
  const engine = await startRecorder()
  const gateway = await startGateway({ enginePort: engine.port, ...(haproxy ? { haproxy } : {}) })
  try {
    const seen: string[] = []
    for (const request of hostile) {
      const { answer, received } = await attack(gateway, engine, request)
      const form = answer.status >= 400 ? ` ${answer.headers['content-type']?.split('/')[1] ?? ''}` : ''
      seen.push(`${resultOf(answer.statuses, answer.end)}${form}${received.length > 0 ? ' →' : ''}`.trim())
    }
    return seen
  } finally {
    await gateway.stop()
    await engine.stop()
  }
}

const html = (list: string[]): string => `${list.filter((cell) => cell.includes(' html')).length}`
const without = (cell: string): string => cell.replace(/ (html|json)/, '')

const all = await candidates()
const head = (first: string) => {
  row(first, ...all.map(({ version }) => version))
  row('---', ...all.map(() => '---'))
}
head('story')
for (const story of stories) row(story.replace('.test.ts', ''), ...all.map((one) => verdict(story, one)))
const seen: string[][] = []
for (const one of all) seen.push(await outcomes(one))
say('\nHostile requests that are answered differently (→: it reaches the engine, in our form):\n')
head('request')
for (const [at, { name }] of hostile.entries()) {
  const cells = seen.map((list) => without(list[at] ?? ''))
  if (new Set(cells).size > 1) row(name, ...cells)
}
row('refused in HTML', ...seen.map(html))
