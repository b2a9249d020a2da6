import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { look } from './mac.ts'
import { results, type Step, step } from './step.ts'

/** Where another machine of the tailnet is at hand: a second node that hands on what comes by SOCKS, or this machine itself. */
interface Laptop {
  socks?: string
  /** the gateway's tailnet address and port */
  to: string
}

const file = join(results, 'laptop.json')

function laptop(): Laptop | undefined {
  const { to } = parseArgs({ options: { to: { type: 'string' } } }).values
  if (to !== undefined) return { to }
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Laptop) : undefined
}

/** What curl gets there: the status, then the body. */
async function curl({ socks, to }: Laptop, path: string, ...more: string[]): Promise<{ status: number; body: string }> {
  const way = socks === undefined ? [] : ['--socks5-hostname', socks]
  const words = [
    'curl',
    '-sS',
    '-N',
    '--max-time',
    '300',
    ...way,
    '-w',
    '\n%{http_code}',
    ...more,
    `http://${to}${path}`,
  ]
  const { stdout, stderr } = await look.query(words, { timeoutMs: 310_000 })
  const lines = stdout.split('\n')
  return { status: Number(lines.pop()) || 0, body: lines.join('\n') || stderr }
}

const json = (body: object): string[] => ['-H', 'content-type: application/json', '-d', JSON.stringify(body)]

async function rows({ holds }: Step, from: Laptop): Promise<string | undefined> {
  const version = await curl(from, '/api/version')
  holds('a machine of the tailnet gets an answer', version.status === 200, `${version.status} ${version.body}`)
  const models = await curl(from, '/v1/models')
  holds('it sees the models', models.status === 200, `${models.status} ${models.body}`)
  const refused: [string, string[]][] = [
    ['/api/delete', ['-X', 'DELETE', ...json({ model: 'none' })]],
    ['/api/pull', json({ model: 'none' })],
    ['/api/nope', []],
    ['/api/../api/delete', ['--path-as-is', '-X', 'DELETE']],
  ]
  for (const [path, words] of refused) {
    const { status } = await curl(from, path, ...words)
    holds(`it is refused ${path}`, status === 403 || status === 400, `${status}`)
  }
  return /"id":\s*"([^"]+)"/.exec(models.body)?.[1]
}

/** Step 7, from outside: requests with a foreign source address, as a laptop sends them. `--to ADDRESS:PORT` where this machine is the laptop. */
await step('laptop', async (row) => {
  const from = laptop()
  if (!from) return row.skip('everything', 'there is no second node here: the step tailnet made none')
  const model = await rows(row, from)
  if (model === undefined) return row.skip('a stream', 'no model is installed')
  const messages = [{ role: 'user', content: 'Count to twenty.' }]
  const stream = await curl(from, '/v1/chat/completions', ...json({ model, stream: true, max_tokens: 64, messages }))
  const whole = stream.body.trimEnd().endsWith('data: [DONE]')
  row.holds(
    'it gets a stream to its end',
    stream.status === 200 && whole,
    `${stream.status} ${stream.body.slice(-200)}`,
  )
})
