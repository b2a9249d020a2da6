import { fileURLToPath } from 'node:url'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'

export type Flags = Record<string, string | boolean | string[] | undefined>

/** What a script takes, and how it says so. */
export interface Usage {
  usage: string
  options: NonNullable<ParseArgsConfig['options']>
  positionals?: boolean
}

/** What a script was told; undefined when that was --help or --version, which is answered here, and nothing else is to be done. Throws `Stop` (exit 2). */
export async function told(
  script: Usage,
  argv: string[],
  look: Look = realLook(),
): Promise<{ flags: Flags; names: string[] } | undefined> {
  const { values, positionals } = parse(script, argv)
  const { help, version, ...flags } = values as Flags
  if (help) process.stdout.write(`${script.usage}\n${general}\n`)
  else if (version) process.stdout.write(`remote-ollama-proxy ${await ownVersion(look)}\n`)
  return help || version ? undefined : { flags, names: positionals }
}

const general = `
  --help       this text, and nothing else
  --version    the version of remote-ollama-proxy, and nothing else`

function parse({ options, positionals, usage }: Usage, argv: string[]) {
  const all = { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } } as const
  try {
    return parseArgs({ args: argv, options: all, allowPositionals: positionals === true, strict: true })
  } catch (error) {
    throw new Stop(exitCodes.usage, `${(error as Error).message.split('. ')[0]}.\n${usage}`)
  }
}

async function ownVersion(look: Look): Promise<string> {
  const text = await look.read(fileURLToPath(new URL('../../package.json', import.meta.url)))
  return (JSON.parse(text ?? '{}') as { version?: string }).version ?? 'of an unknown version'
}

/** Whoever reads on (`| head -1`) may stop reading: what is being done is then done to its end, in silence. */
export function unheard(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignored)
}

function ignored(error: NodeJS.ErrnoException): void {
  if (['EPIPE', 'ERR_STREAM_DESTROYED', 'EIO'].includes(error.code ?? '')) return
  process.stderr.write(`What is printed cannot be written (${error.code}); see where it goes.\n`)
  process.exit(exitCodes.failed)
}
