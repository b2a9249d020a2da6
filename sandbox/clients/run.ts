import type { Client, Connection, Snippet } from '../../lib/clients/client.ts'
import { clients } from '../../lib/clients/index.ts'
import { languageOf } from '../../lib/clients/text.ts'
import type { Box, Outcome } from '../box/box.ts'
import { checkout, node as own } from '../box/paths.ts'
import { at, installed, quickBox } from '../stories/witness.ts'
import { type Fetched, fetchClient, fetchNode, pythonOf } from './fetch.ts'
import { not, type Real, reals } from './real.ts'

/**
 * `npm run clients`: every snippet that a program of npm or PyPI can be told, told to that program on another machine of the
 * box, and asked one question by it; then the same by `rop launch`. Names after it choose some of them.
 */
const wanted = process.argv.slice(2)
const model = 'qwen3:0.6b'
const answer = `This is ${model}.`
/** The stand-in's model counts a token for nearly every letter, so that what an agent says first would fill a window of the usual size. */
const context = 400_000
const say = (text: string) => process.stdout.write(`${text}\n`)

interface Had {
  client: Client
  real: Real
  fetched: Fetched
}

const counts = { passed: 0, failed: 0, skipped: 0 }

function had(node: string): Had[] {
  return clients
    .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
    .flatMap((client) => {
      const real = reals[client.name]
      try {
        if (real) return [{ client, real, fetched: fetchClient(real, node) }]
        say(`- ${client.name}: ${not[client.name]}`)
      } catch (error) {
        say(`- ${client.name} cannot be had: ${(error as Error).message}`)
      }
      counts.skipped += 1
      return []
    })
}

/** A home of its own on the laptop, without anything of ours in it. */
const homeOf = (box: Box, client: Client, way: string): string => `${box.home}/${way}-${client.name}`

const environment = (box: Box, { client, real, fetched }: Had, way: string): Record<string, string> => ({
  HOME: homeOf(box, client, way),
  PATH: [...fetched.path, '/usr/bin', '/bin'].join(':'),
  // One that asks for a version of its own would wait for a network that is not there.
  NO_UPDATE_NOTIFIER: '1',
  ...real.env,
})

/** Where a snippet's file lies in that home; llm names its folder by a command. */
function fileOf(home: string, { where }: Snippet): string | undefined {
  if (where.startsWith('~/')) return `${home}/${where.slice(2)}`
  const name = /^[\w.-]+\.yaml/.exec(where)?.[0]
  return name === undefined ? undefined : `${home}/.config/io.datasette.llm/${name}`
}

/** Does what a person does who pastes every snippet, and asks. */
async function pasted(box: Box, one: Had, to: Connection): Promise<Outcome> {
  const { client, real, fetched } = one
  const snippets = client.snippets(to)
  const env = { ...environment(box, one, 'pasted'), BASE: to.base, MODEL: to.model, KEY: to.key ?? '' }
  const home = homeOf(box, client, 'pasted')
  box.write(`${home}/.keep`, '')
  for (const snippet of snippets) {
    const file = fileOf(home, snippet)
    if (file !== undefined) box.write(file, snippet.text)
  }
  const options = { on: 'laptop', env, cwd: home, timeoutMs: 240_000 } as const
  const code = snippets.find((snippet) => ['js', 'python'].includes(languageOf(snippet)))
  if (code && languageOf(code) === 'python') return box.run(['python', '-c', code.text], options)
  // Packages are found from the folder in which they are.
  if (code) return box.run(['node', '--input-type=module', '-e', code.text], { ...options, cwd: fetched.folder })
  const shell = snippets.filter(({ where }) => where === 'shell').map(({ text }) => text)
  const input = real.input === 'key' ? `${to.key}\n` : ''
  return box.run(['sh', '-c', `${shell.join('\n')}${real.ask ?? ''}`], { ...options, input })
}

/** The same by `rop launch`, from a machine on which nothing is installed. */
async function launched(box: Box, one: Had, to: Connection, words: string[]): Promise<Outcome> {
  const home = homeOf(box, one.client, 'launched')
  box.write(`${home}/key`, `${to.key}\n`, 0o600)
  const rop = [own, '--import', 'tsx', `${checkout}/rop.ts`, 'launch', one.client.name, '--server', to.base]
  const env = { ...environment(box, one, 'launched'), ROP_FROM: home, ROP_TYPED: 'rop' }
  return box.run([...rop, '--context', `${context}`, '--key-file', `${home}/key`, '--', ...words], {
    on: 'laptop',
    env,
    cwd: checkout,
    timeoutMs: 240_000,
  })
}

function judge(what: string, { code, stdout, stderr }: Outcome): void {
  const good = code === 0 && stdout.includes(answer)
  counts[good ? 'passed' : 'failed'] += 1
  say(`${good ? '✓' : '✗'} ${what}`)
  if (good) return
  process.exitCode = 1
  say(`  exit code ${code}\n${`${stdout}\n${stderr}`.trim().split('\n').slice(-15).join('\n').replaceAll(/^/gm, '  ')}`)
}

async function all(): Promise<void> {
  const found = had(fetchNode())
  const programs = [...new Set(found.flatMap(({ fetched }) => pythonOf(fetched) ?? []))]
  const box = await quickBox({ programs })
  try {
    if (!box.namespaced) throw new Error(`the clients need a laptop of their own: ${box.why}`)
    box.write(at(box).settings, `groups: [agents, native]\naccess: keys\nmodels: ['${model}']\n`, 0o600)
    await installed(box)
    const { stdout } = await box.script('keys.ts', ['add', 'bob', '--json'])
    const { key, anthropic: base } = JSON.parse(stdout) as { key: string; anthropic: string }
    const to = { base, model, context, key }
    for (const one of found) {
      const { client, real } = one
      const version = [...(real.npm ?? []), ...(real.pip ?? [])].join(' ')
      judge(`${client.name}: as pasted${version ? ` (${version})` : ''}`, await pasted(box, one, to))
      if (real.launch) judge(`${client.name}: rop launch`, await launched(box, one, to, real.launch))
    }
  } finally {
    await box.close()
  }
}

await all()
say(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
