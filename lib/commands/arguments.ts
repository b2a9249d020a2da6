import { isIP } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { nearest } from '../site/nearest.ts'
import { complain, wrappedHelp } from './screens/wrap.ts'

export type Flags = Record<string, string | boolean | string[] | undefined>

/** What a script takes, and how it says so. */
export interface Usage {
  usage: string
  options: NonNullable<ParseArgsConfig['options']>
  positionals?: boolean
  /** what may stand after it beside options, for the shell's Tab */
  words?: string[]
}

/** What a script was told; undefined when that was --help or --version, which is answered here, and nothing else is to be done. Throws `Stop` (exit 2). */
export async function told(
  script: Usage,
  argv: string[],
  look: Look = realLook(),
): Promise<{ flags: Flags; names: string[] } | undefined> {
  const { values, positionals } = parse(script, argv)
  const { help, version, ...flags } = values as Flags
  if (help) process.stdout.write(`${asHelp(`${script.usage}\n${general}`)}\n`)
  else if (version) process.stdout.write(`remote-ollama-proxy ${await ownVersion(look)}\n`)
  return help || version ? undefined : { flags, names: positionals }
}

/** At the terminal's width; as it is written where there is none. */
export const asHelp = (text: string): string =>
  process.stdout.isTTY ? wrappedHelp(text, process.stdout.columns || 80) : text

const general = `
  --help       this text, and nothing else
  --version    the version of remote-ollama-proxy, and nothing else`

function parse({ options, positionals, usage }: Usage, argv: string[]) {
  const all = { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } } as const
  try {
    return parseArgs({ args: argv, options: all, allowPositionals: positionals === true, strict: true })
  } catch (error) {
    const [fault = ''] = (error as Error).message.split('. ')
    const word = /^Unknown option '--([^']*)'/.exec(fault)?.[1]
    const near = word === undefined ? undefined : nearest(word, Object.keys(all))
    const meant = near === undefined ? '' : ` Did you mean --${near}?`
    throw new Stop(
      exitCodes.usage,
      `${fault.replace(/\.$/, '')}.${meant}\n${usage.split('\n')[0]}\n--help says what each does.`,
    )
  }
}

/** Throws `Stop` (exit 2) for an option that goes with other words of a command than this one, and would change nothing here. */
export function fitsOnly(command: string, word: string, flags: Flags, only: Record<string, string[]>): void {
  const flag = Object.keys(flags).find((one) => flags[one] !== undefined && only[one] && !only[one].includes(word))
  if (flag === undefined) return
  const goes = only[flag]?.map((one) => called(`${command} ${one}`)).join(' and ')
  throw new Stop(exitCodes.usage, `--${flag} goes with ${goes}, not with ${word}; nothing was changed.`)
}

/** Whom --resolver names, an address with its port where that is another than 53; undefined where it was not given. Throws `Stop` (exit 2) for anything else. */
export function resolverOf(flags: Flags): string | undefined {
  const resolver = flags.resolver as string | undefined
  if (resolver === undefined) return undefined
  const [, bracketed, plain = bracketed] = /^(?:\[(.*)\](?::\d{1,5})?|([\d.]+)(?::\d{1,5})?)$/.exec(resolver) ?? []
  if (isIP(plain ?? resolver) !== 0) return resolver
  throw new Stop(
    exitCodes.usage,
    `--resolver takes an address such as 192.168.1.1 or 127.0.0.1:5353, not ${JSON.stringify(resolver.slice(0, 80))}.`,
  )
}

/** What is wrong with what was given where one file to read is wanted: none, too many, or none that is there. */
export function notOneFile(command: string, names: string[]): Stop {
  const [file] = names
  if (file === undefined) return new Stop(exitCodes.usage, `The file is missing: ${typed(command)} FILE`)
  const given = names.length > 1 ? `${names.length} were given` : `${JSON.stringify(file.slice(0, 80))} is none`
  return new Stop(exitCodes.usage, `${called(command)} takes one file; ${given}.`)
}

export async function ownVersion(look: Look = realLook()): Promise<string> {
  const text = await look.read(fileURLToPath(new URL('../../package.json', import.meta.url)))
  return (JSON.parse(text ?? '{}') as { version?: string }).version ?? 'of an unknown version'
}

/** Whoever reads on (`| head -1`) may stop reading: what is being done is then done to its end, in silence. */
export function unheard(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignored)
}

function ignored(error: NodeJS.ErrnoException): void {
  if (['EPIPE', 'ERR_STREAM_DESTROYED', 'EIO'].includes(error.code ?? '')) return
  complain(`What is printed cannot be written (${error.code}); see where it goes.`)
  process.exit(exitCodes.failed)
}
