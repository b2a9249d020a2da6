import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { packages } from '../box/packages.ts'
import { freePort } from '../lab/gateway.ts'
import { built, type Go } from './go.ts'
import { type Serving, serving } from './program.ts'
import { chatTemplate, endOfTurn } from './toy-model.ts'

const version = '0.24.0'
const audio = 'github.com/gen2brain/malgo@v0.11.24'

/** Go's module proxy leaves out folders named `vendor`, and with them three headers that Ollama is built with. */
async function headers(go: Go, folder: string): Promise<Record<string, string>> {
  const include = join(folder, 'include')
  mkdirSync(join(include, 'miniaudio'), { recursive: true })
  const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(await go(['mod', 'download', '-json', audio])))
  copyFileSync(join(Dir, 'miniaudio.h'), join(include, 'miniaudio/miniaudio.h'))
  const { root } = await packages(['nlohmann-json3-dev', 'libstb-dev'])
  return { CPLUS_INCLUDE_PATH: `${include}:${join(root, 'usr/include')}`, CGO_ENABLED: '1' }
}

/** The real Ollama, built once (some six minutes); it computes with the processor alone. Throws where Go, a C++ compiler or a package cannot be had. */
export const ollama = (): Promise<string> =>
  built('ollama', `github.com/ollama/ollama@v${version}`, {
    argv: ['-ldflags', `-X github.com/ollama/ollama/version.Version=${version}`],
    env: headers,
  })

/** Its official installer, as it lies in the same module: what https://ollama.com/install.sh serves. */
async function installer(): Promise<string> {
  const file = join(dirname(await ollama()), 'install.sh')
  if (existsSync(file)) return file
  const folder = mkdtempSync(join(tmpdir(), 'ollama-module-'))
  try {
    const env = { ...process.env, GOPATH: folder, GOFLAGS: '-modcacherw' }
    const words = ['mod', 'download', '-json', `github.com/ollama/ollama@v${version}`]
    const { stdout } = await promisify(execFile)('go', words, { env, cwd: folder })
    const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(stdout))
    copyFileSync(join(Dir, 'scripts/install.sh'), file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return file
}

/** Lays out what ollama.com serves to its own installer: that, and an archive with the real program, packed by zstd. */
export async function serveOllama(folder: string): Promise<void> {
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const { root, bin } = await packages(['zstd'])
  mkdirSync(join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'download'))
  copyFileSync(await installer(), join(folder, 'install.sh'))
  copyFileSync(await ollama(), join(folder, 'bin/ollama'))
  const archive = join(folder, 'download', `ollama-linux-${arch}.tar`)
  await promisify(execFile)('tar', ['-cf', archive, '-C', folder, 'bin'])
  await promisify(execFile)(bin('zstd'), ['-q', '--rm', '-1', archive, '-o', `${archive}.zst`], {
    env: { ...process.env, LD_LIBRARY_PATH: join(root, 'usr/lib') },
  })
  rmSync(join(folder, 'bin'), { recursive: true })
}

/** What a model of a file is made of, as Ollama reads it. */
export const modelfile = (gguf: string, chats: boolean): string =>
  [
    `FROM ${gguf}`,
    'PARAMETER num_thread 1',
    ...(chats ? [`TEMPLATE """${chatTemplate}"""`, `PARAMETER stop "${endOfTurn}"`] : []),
    '',
  ].join('\n')

/** A model of a file, as it is to be called. */
export interface Given {
  name: string
  gguf: string
  /** false: it embeds */
  chats: boolean
}

/** Starts it with models of its own, in a folder of its own. */
export async function startOllama(folder: string, models: Given[]): Promise<Serving> {
  const program = await ollama()
  const port = await freePort('127.0.0.1')
  mkdirSync(folder, { recursive: true })
  const env = { OLLAMA_HOST: `127.0.0.1:${port}`, OLLAMA_NO_CLOUD: '1', HOME: folder }
  const running = await serving({
    ...{ argv: [program, 'serve'], env, cwd: folder, port, health: '/api/version', withinMs: 60_000 },
  })
  for (const { name, gguf, chats } of models) {
    const file = join(folder, `Modelfile.${name}`)
    writeFileSync(file, modelfile(gguf, chats))
    await promisify(execFile)(program, ['create', name, '-f', file], { env: { PATH: process.env.PATH, ...env } })
  }
  return running
}
