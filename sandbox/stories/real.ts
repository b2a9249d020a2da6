import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Box, BoxOptions } from '../box/box.ts'
import { combine } from '../box/presets.ts'

/** A folder with a real `ollama` and its toy `models`: the stories then run with that one in the stand-in's place. */
export const real = process.env.REAL_OLLAMA

/** Why stories that rest on what only a stand-in does are skipped; undefined with the stand-in. */
export const genuine = real && 'a real Ollama downloads nothing here, and does wrong at nobody’s command'

/** A story's title with the reason why it is skipped. */
export const unlessReal = (title: string): string => (genuine ? `${title} (skipped: ${genuine})` : title)

/** The models that stories speak of, by the toy that a real Ollama runs under that name. */
const toys: Record<string, string> = {
  'qwen3:0.6b': 'tiny-tools',
  'all-minilm': 'tiny-embed',
  ...Object.fromEntries(['tiny', 'tiny-json', 'tiny-loop', 'tiny-think'].map((name) => [name, name])),
}

const library = (folder: string, name: string) => {
  const [model = '', tag = 'latest'] = name.split(':')
  return join(folder, 'manifests/registry.ollama.ai/library', model, tag)
}

/** Makes models present as if they had been downloaded before. */
export function placeModels(box: Box, names = Object.keys(toys)): void {
  if (!real) return
  const models = join(real, 'models')
  cpSync(join(models, 'blobs'), box.outside('.ollama/models/blobs'), { recursive: true })
  for (const name of names) {
    const to = library(box.outside('.ollama/models'), name)
    mkdirSync(dirname(to), { recursive: true })
    cpSync(library(models, toys[name] ?? name), to)
  }
}

/** Downloads models; with a real Ollama they are simply there afterwards, since no registry is. */
export async function download(box: Box, names: string[], port = box.enginePort): Promise<void> {
  if (real) return placeModels(box, names)
  const env = { OLLAMA_HOST: `127.0.0.1:${port}` }
  for (const name of names) {
    const { code, stderr } = await box.run(['ollama', 'pull', name], { env })
    if (code !== 0) throw new Error(`ollama pull ${name}: ${stderr}`)
  }
}

/** The version that a program called ollama has; nobody listens on port 1. */
const versionOf = (program: string): string => {
  const said = execFileSync(program, ['--version'], { env: { OLLAMA_HOST: '127.0.0.1:1', HOME: '/nonexistent' } })
  return /version is (\S+)/.exec(`${said}`)?.[1] ?? ''
}

/** What a box is made of, with the real Ollama where one is named. */
export function withReal(options: BoxOptions): BoxOptions {
  if (!real) return options
  const ollama = join(real, 'ollama')
  const version = versionOf(ollama)
  const installed = options.preset === 'ready' ? { installed: { ollama: version } } : {}
  return { ollama, ...options, mac: combine({ brew: { latest: { ollama: version }, ...installed } }, options.mac) }
}

/** Sends a signal to the processes that run models: stopped ones hold all answers, killed ones break them off. */
export async function signalRunners(box: Box, signal: 'STOP' | 'CONT' | 'KILL'): Promise<void> {
  const { stdout } = await box.run(['ps', '-axo', 'pid,args'])
  const pids = [...stdout.matchAll(/^\s*(\d+) \S*ollama runner /gm)].map(([, pid = '']) => pid)
  if (pids.length === 0) throw new Error(`no model runs: ${stdout}`)
  await box.run(['kill', `-${signal}`, ...pids])
}
