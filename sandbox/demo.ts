import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { type Box, createBox } from './box/box.ts'
import { scriptCommand } from './box/layout.ts'
import { checkout } from './box/paths.ts'
import { linuxDemo } from './linux/demo.ts'
import { nodesDemo } from './nodes-demo.ts'
import { share } from './share.ts'

/** The whole life cycle with the real scripts: bare → install → proof → models → a streamed answer → shared by a key → uninstall → nothing left. */
const keep = process.argv.includes('--keep')

const say = (text: string) => process.stdout.write(`${text}\n`)
const heading = (text: string) => say(`\n━━ ${text} ${'━'.repeat(Math.max(3, 76 - text.length))}`)

/** Runs a root script in the box; what it prints is what is seen. */
async function show(box: Box, name: string, args: string[]): Promise<void> {
  say(`$ npx tsx ${[name, ...args].join(' ')}`)
  const { argv, env } = box.command(scriptCommand(name, args), { cwd: checkout })
  const child = spawn(argv[0] ?? '', argv.slice(1), { env, stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number | null]
  say(`(exit code ${code})`)
  if (code === 0) return
  const missed = code === 1 ? misses(box, name) : []
  if (missed.length === 0 || missed.some((id) => id !== 'performance.overhead'))
    throw new Error(`${name} ended with ${code}${missed.length > 0 ? `: ${missed.join(', ')} missed` : ''}`)
  say('(only the time that a request takes was missed, which a busy machine decides; the demo goes on)')
}

/** The ids of what a script's newest run missed, from its log; what it prints goes straight to the terminal. */
function misses(box: Box, script: string): string[] {
  const folder = 'Library/Logs/remote-ollama-proxy'
  const runs = [...box.snapshot(folder).keys()].filter((name) => name.endsWith(`-${script.replace('.ts', '')}.log`))
  const newest = runs.sort().at(-1)
  const text = newest === undefined ? '' : box.read(`${folder}/${newest}`)
  return [...text.matchAll(/^\S+ missed ([\w.:-]+): /gm)].map(([, id = '']) => id)
}

async function ask(box: Box): Promise<void> {
  const body = JSON.stringify({
    model: 'qwen3:0.6b',
    stream: true,
    max_tokens: 24,
    messages: [{ role: 'user', content: 'Hello?' }],
  })
  const url = `http://studio.tail0lab.ts.net:${box.port}/v1/chat/completions`
  say(`laptop$ curl -N ${url} -d '${body}'`)
  const answer = await box.http(box.namespaced ? 'laptop' : 'mac', {
    method: 'POST',
    path: '/v1/chat/completions',
    host: box.address,
    port: box.port,
    headers: {
      host: `${box.namespaced ? 'studio.tail0lab.ts.net' : box.address}:${box.port}`,
      'content-type': 'application/json',
    },
    body,
  })
  const events = answer.body.split('\n\n').filter(Boolean)
  for (const event of events.slice(0, 3)) say(event)
  say(`… ${events.length} events, the last: ${events.at(-1)}`)
  if (events.at(-1) !== 'data: [DONE]') throw new Error('the stream did not end as it should')
}

/** From a bare Mac to nothing left. */
async function cycle(box: Box): Promise<void> {
  const before = box.snapshot('.')
  box.mac((mac) => {
    mac.tailscale.loginAfterMs = 500
  })
  heading('install')
  await show(box, 'install.ts', ['--yes'])
  heading('test')
  await show(box, 'test.ts', [])
  heading('warm models')
  await show(box, 'warm-models.ts', ['qwen3:0.6b'])
  heading('a streamed answer, from another machine of the tailnet')
  await ask(box)
  heading('shared with a second person')
  await share({ say, show }, box)
  heading('uninstall')
  await show(box, 'uninstall.ts', ['--yes', '--purge'])
  heading('what is left in the home folder')
  const left = [...box.snapshot('.')].filter(([path, what]) => !before.has(path) && what.startsWith('file'))
  const kept = (path: string) => path.startsWith('.ollama/') || path.startsWith('Library/Caches/Homebrew/')
  const strange = left.map(([path]) => path).filter((path) => !kept(path))
  say(
    `${left.length - strange.length} files of Ollama and Homebrew (models are kept on purpose), ${strange.length} others`,
  )
  for (const path of strange) say(path)
  if (strange.length > 0) throw new Error('uninstall.ts left something behind')
}

async function demo(): Promise<void> {
  heading('a bare Mac, in a box on this machine')
  const box = await createBox({ preset: 'bare', ...(keep ? { keep: `${tmpdir()}/kept-${process.pid}` } : {}) })
  try {
    await cycle(box)
  } finally {
    await box.close()
    if (keep) say(`kept: ${box.dir} (npx tsx sandbox/run.ts --box ${box.dir} sh)`)
  }
}

const told = { say, heading }
const begun = process.argv.includes('--linux')
  ? linuxDemo(told)
  : process.argv.includes('--nodes')
    ? nodesDemo(told)
    : demo()
await begun.catch((error: unknown) => {
  process.stderr.write(`The demo stopped: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
