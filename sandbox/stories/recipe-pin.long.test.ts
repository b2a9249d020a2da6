import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ran, run } from '../box/apt.ts'
import { packages } from '../box/packages.ts'
import { type Engine, startEngine } from '../container/engine.ts'
import { whyNot } from '../linux/why.ts'
import { eventually } from './await.ts'

const why = whyNot()
/** Where the registry listens, in the network namespace of the engine. */
const registry = '127.0.0.1:5000'
const images = ['ollama/ollama:0.24.0', 'qdrant/qdrant:v1.20.0', 'vllm/vllm-openai:v0.33.0']
const folder = mkdtempSync(join(tmpdir(), 'recipe-pin-'))
const at = (name: string) => join(folder, name)
const stored = at('registry')
const split = (image: string) => image.split(':') as [string, string]
let engine: Engine
let serving: ChildProcess

async function done(outcome: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await outcome
  expect(code, stderr).toBe(0)
  return stdout
}

const asked = (path: string, ...more: string[]): Promise<Ran> =>
  engine.beside(['curl', '-sS', '-m', '5', ...more, `http://${registry}/v2/${path}`])

async function startRegistry(): Promise<void> {
  const { bin, libraryPath } = await packages(['docker-registry'])
  writeFileSync(
    at('registry.yml'),
    JSON.stringify({
      ...{ version: 0.1, http: { addr: registry } },
      storage: { filesystem: { rootdirectory: stored }, delete: { enabled: true } },
    }),
  )
  const log = openSync(at('registry.log'), 'a')
  const argv = [`--net=/run/netns/${engine.network}`, bin('docker-registry'), 'serve', at('registry.yml')]
  const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: libraryPath }
  serving = spawn('nsenter', argv, { env, stdio: ['ignore', log, log] })
  await eventually('the registry answers', async () => (await asked('')).code === 0)
}

async function endRegistry(): Promise<void> {
  if (!serving || serving.exitCode !== null) return
  const ended = once(serving, 'exit')
  serving.kill()
  await ended
}

/** Makes an image of one file, which differs from every other, and has the registry keep it. The engine has it under the registry's name alone then. */
async function publish(image: string, words = image): Promise<void> {
  const root = at('root')
  mkdirSync(root, { recursive: true })
  writeFileSync(join(root, 'words'), words)
  execFileSync('tar', ['-cf', at('root.tar'), '-C', root, 'words'])
  await done(engine.docker('import', at('root.tar'), `${registry}/${image}`))
  await done(engine.docker('push', '--quiet', `${registry}/${image}`))
}

/** What the registry says of an image. */
async function digestOf(image: string): Promise<string | undefined> {
  const [name, tag] = split(image)
  const form = 'application/vnd.docker.distribution.manifest.v2+json'
  const head = await done(asked(`${name}/manifests/${tag}`, '-I', '-H', `accept: ${form}`))
  return /^docker-content-digest: (\S+)/im.exec(head)?.[1]
}

let stacks = 0
/** Has the recipe written, and gives how that ended and where the files are. */
async function pinned(): Promise<Ran & { stack: string }> {
  stacks += 1
  const stack = at(`stack-${stacks}`)
  const sets = ['domain=example.net', `stack=${stack}`, `data=${at(`data-${stacks}`)}`].flatMap((one) => ['--set', one])
  const words = ['--import', 'tsx', 'rop.ts', 'recipe', 'ai-stack', '--part', 'gpu', '--pin', ...sets]
  return { ...(await run(process.execPath, words, { ...engine.env, HOME: folder })), stack }
}

const composed = (stack: string): string[] =>
  [...readFileSync(join(stack, 'compose.yaml'), 'utf8').matchAll(/^ +image: (\S+)$/gm)].map(([, image = '']) => image)
const refused = (image: string) => ({
  code: 3,
  stderr: expect.stringMatching(new RegExp(`^Docker cannot get the image ${image}[^\\n]*docker pull ${image}\\n$`)),
})

describe.skipIf(why !== undefined)(`a recipe by digests${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    engine = await startEngine({ mirrors: [`http://${registry}`], debian: false })
    await startRegistry()
    for (const image of images) await publish(image)
  })
  afterAll(async () => {
    await endRegistry()
    await engine?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('each image has the digest that the registry has for it, and Docker gets it by that', async () => {
    const { code, stderr, stack } = await pinned()
    expect([code, stderr]).toEqual([0, ''])
    const wanted = await Promise.all(images.map(async (image) => `${image}@${await digestOf(image)}`))
    expect(new Set(wanted).size).toBe(3)
    const written = composed(stack)
    expect([...new Set(written)].sort()).toEqual(wanted.sort())
    for (const image of wanted) await done(engine.docker('pull', '--quiet', image))
  })

  test('an image that was replaced under its name has another digest from then on', async () => {
    const [image = ''] = images
    const before = await digestOf(image)
    await publish(image, 'another')
    const after = await digestOf(image)
    expect(after).not.toBe(before)
    const { code, stack } = await pinned()
    expect([code, composed(stack).filter((one) => one.startsWith(image))]).toEqual([
      0,
      [`${image}@${after}`, `${image}@${after}`],
    ])
  })

  test('an image that the registry has no more is told in one sentence, and nothing is written', async () => {
    const [name, tag] = split(images[1] ?? '')
    rmSync(join(stored, 'docker/registry/v2/repositories', name, '_manifests/tags', tag), { recursive: true })
    const { stack, ...ended } = await pinned()
    expect(ended).toMatchObject(refused(`${name}:${tag}`))
    expect(existsSync(stack)).toBe(false)
    await publish(`${name}:${tag}`)
  })

  test('a registry that is down is told in one sentence, and nothing is written, whatever Docker has already', async () => {
    await endRegistry()
    const { stack, ...ended } = await pinned()
    expect(ended).toMatchObject(refused(images[0] ?? ''))
    expect(existsSync(stack)).toBe(false)
    await startRegistry()
    expect((await pinned()).code).toBe(0)
  })
})
