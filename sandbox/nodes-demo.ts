import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Box, namespaces } from './box/box.ts'
import { program } from './box/paths.ts'
import type { Running } from './box/running.ts'
import { mayJoin } from './box/tailnet.ts'
import type { Told } from './linux/demo.ts'
import { eventually } from './stories/await.ts'
import { putSettings, readyBox } from './stories/installed.ts'
import { stateOf, threeBoxes } from './three-boxes.ts'

/** Engines that stand for other machines: each a process of its own, with models of its own. */
const engines = {
  mac: { port: 12_501, models: ['qwen3:0.6b'] },
  gpu: { port: 12_502, models: ['qwen3:0.6b', 'all-minilm'] },
}
const joined = { port: 12_503, models: ['qwen3:0.6b'] }

async function serve(box: Box, name: string, { port, models }: { port: number; models: string[] }): Promise<Running> {
  const env = `OLLAMA_HOST=127.0.0.1:${port} OLLAMA_MODELS=${box.home}/models-of-${name}`
  const running = box.start(['/bin/sh', '-c', `${env} exec ollama serve`])
  for (const model of models)
    await eventually(`${name} has ${model}`, async () => {
      const pulled = await box.run(['ollama', 'pull', model], { env: { OLLAMA_HOST: `127.0.0.1:${port}` } })
      return pulled.code === 0
    })
  return running
}

/** Runs a command that a person types, and shows what it prints; throws when it fails otherwise than is right. */
async function show({ say }: Told, box: Box, typed: string, right = [0]): Promise<void> {
  say(`gateway$ ${typed}`)
  const { code, stdout, stderr } = await box.run([`${box.prefix}/bin/rop`, ...typed.split(' ').slice(1)], {
    cwd: '/',
    timeoutMs: 240_000,
  })
  say(`${stdout}${stderr}`.trimEnd())
  if (!right.includes(code)) throw new Error(`${typed} ended with ${code}`)
}

/** Asks as a client does; says who answered and which way the question came there. */
async function ask({ say }: Told, box: Box, model: string, words: string, wanted?: string): Promise<void> {
  const { status, headers } = await box.http(box.namespaced ? 'laptop' : 'mac', {
    ...{ method: 'POST', path: '/v1/chat/completions', host: box.address, port: box.port },
    headers: { host: `${box.address}:${box.port}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: words }], max_tokens: 8 }),
  })
  const by = headers['x-served-by']
  say(`laptop: “${words}” to ${model} → ${status}, x-served-by: ${by}, x-route: ${headers['x-route']}`)
  if (status !== 200 || (wanted !== undefined && by !== wanted))
    throw new Error(`${by} answered ${status} where ${wanted ?? 'anybody'} should have`)
}

const settings = `role: gateway
nodes:
  mac: { address: 127.0.0.1, port: ${engines.mac.port}, slots: 2 }
  gpu: { address: 127.0.0.1, port: ${engines.gpu.port}, slots: 4, speed: 2 }
`

async function cycle(told: Told, box: Box): Promise<void> {
  const { say, heading } = told
  const mac = await serve(box, 'mac', engines.mac)
  await serve(box, 'gpu', engines.gpu)
  putSettings(box, settings)
  say(settings.trimEnd())
  heading('install')
  const installed = await box.script('install.ts', ['--yes'], { timeoutMs: 240_000 })
  say(installed.stdout.trimEnd())
  if (installed.code !== 0) throw new Error(`install.ts ended with ${installed.code}`)
  heading('each request goes to a node that has its model')
  await show(told, box, 'rop nodes')
  await ask(told, box, 'qwen3:0.6b', 'Who are you?', 'gpu')
  await show(told, box, 'rop nodes why qwen3:0.6b')
  heading('a conversation stays where it began')
  await ask(told, box, 'qwen3:0.6b', 'Who are you?', 'gpu')
  heading('one is drained, for work on that machine')
  await show(told, box, 'rop nodes drain gpu --wait')
  await ask(told, box, 'qwen3:0.6b', 'Who are you?', 'mac')
  await show(told, box, 'rop nodes ready gpu')
  heading('one dies')
  mac.kill('SIGKILL')
  await ask(told, box, 'qwen3:0.6b', 'Is anybody there?', 'gpu')
  await eventually('mac is seen to be down', async () => (await stateOf(box, 'mac')) === 'down')
  await show(told, box, 'rop nodes', [1])
  heading('one joins')
  await serve(box, 'third', joined)
  await show(told, box, `rop nodes add third 127.0.0.1:${joined.port}`)
  await show(told, box, 'rop nodes remove mac')
  heading('all of it proven')
  await show(told, box, 'rop test')
  heading('uninstall')
  await show(told, box, 'rop uninstall --yes')
}

async function oneBox(told: Told): Promise<void> {
  told.heading('a gateway in a box on this machine, and two engines for other machines')
  const box = await readyBox({ models: false })
  try {
    await cycle(told, box)
  } finally {
    await box.close()
  }
}

/** The same demo once more as the first user of a user namespace, who may join the networks of boxes. Throws where it fails. */
async function asFirstUser(): Promise<void> {
  const words = ['--user', '--map-root-user', process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn(program('unshare') ?? 'unshare', words, { stdio: 'inherit' })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`in a user namespace of its own it ended with ${code}`)
}

/** A gateway and engines behind it, asked, drained, killed, joined: three Macs in boxes, or one box and processes where this machine lets boxes have no network. Throws where a step fails. */
export async function nodesDemo(told: Told): Promise<void> {
  const possible = namespaces()
  if ('flags' in possible) return mayJoin() ? threeBoxes(told) : asFirstUser()
  told.say(`One box in the place of three, since boxes cannot be joined here: ${possible.why}.`)
  return oneBox(told)
}
