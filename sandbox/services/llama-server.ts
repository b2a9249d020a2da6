import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { arch } from 'node:os'
import { basename, join } from 'node:path'
import { suiteOf } from '../attacks/versions/debian.ts'
import { download, unpack } from '../box/apt.ts'
import { alone } from '../box/packages.ts'
import { cacheFolder } from '../box/paths.ts'
import { freePort } from '../lab/gateway.ts'
import { type Serving, serving } from './program.ts'

/** It is in Debian's newest suite alone. */
const suite = 'sid'

/** Of what it depends on, only libraries are needed to run it from a folder. */
const needed = (file: string): boolean => /^(llama|lib|zlib)/.test(basename(file))

/** Fetched once into the cache, verified as apt does, and not installed; gives the folder that it is unpacked in. */
export async function llamaServer(): Promise<string> {
  const folder = join(cacheFolder(), 'services', `llama-server-${suite}-${arch()}`)
  if (existsSync(folder)) return folder
  const found = await suiteOf(suite)
  await alone(`${folder}.lock`, async () => {
    if (existsSync(folder)) return
    const aside = `${folder}.new`
    rmSync(aside, { recursive: true, force: true })
    mkdirSync(aside, { recursive: true })
    const files = await download(join(aside, 'apt'), ['llama.cpp-tools'], found)
    await unpack(files.filter(needed), aside)
    rmSync(join(aside, 'apt'), { recursive: true, force: true })
    renameSync(aside, folder)
  })
  return folder
}

/** The folder of libraries, with the loader that belongs to them: they are newer than the machine's. */
function librariesIn(root: string): { folder: string; loader: string } {
  const above = join(root, 'usr/lib')
  const [name = ''] = readdirSync(above).filter((one) => one.includes('-linux-'))
  const [loader = ''] = readdirSync(join(above, name)).filter((one) => /^ld-linux.*\.so/.test(one))
  return { folder: join(above, name), loader: join(above, name, loader) }
}

/** Starts a real llama.cpp server with one model, which it calls `name`; throws where it cannot be had. */
export async function startLlamaServer(name: string, gguf: string, more: string[] = []): Promise<Serving> {
  const root = await llamaServer()
  const { folder, loader } = librariesIn(root)
  const port = await freePort('127.0.0.1')
  const libraries = [folder, join(folder, 'ggml'), join(folder, 'llama')].join(':')
  const [program, model] = [join(root, 'usr/bin/llama-server'), ['-m', gguf, '--alias', name]]
  const small = ['-c', '512', '-t', '1', '-np', '2']
  return serving({
    argv: [
      loader,
      '--library-path',
      libraries,
      program,
      ...model,
      '--host',
      '127.0.0.1',
      '--port',
      `${port}`,
      ...small,
      ...more,
    ],
    // It looks for what fits the processor in its working folder.
    cwd: join(folder, 'ggml/backends0'),
    // Without a debugger, which would hold it up, when it breaks off.
    env: { GGML_NO_BACKTRACE: '1' },
    ...{ port, health: '/health', withinMs: 120_000 },
  })
}
