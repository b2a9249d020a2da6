import { exitCodes, Stop } from '../../host/command.ts'
import { readInput } from '../../host/handed.ts'
import type { Look } from '../../host/host.ts'
import type { Flags, Ui } from '../cli.ts'

/** What stands in an Authorization header (RFC 6750), and in every shell and file without quotes. */
const form = /^[A-Za-z0-9._~+/=-]{1,200}$/

/** The key of `--key-file FILE`, or of what is piped in with `--key -`; undefined where none is given. Throws `Stop` (exit 2), and never with what was given. */
export async function keyGiven(look: Look, flags: Flags): Promise<string | undefined> {
  const file = flags['key-file']
  if (flags.key !== undefined && flags.key !== '-')
    throw new Stop(
      exitCodes.usage,
      'A key on the command line is there for everybody on this machine to read; give it by --key-file FILE, or by --key - and pipe it in.',
    )
  if (typeof file === 'string' && flags.key === undefined) return checked(await contents(look, file), file)
  if (flags.key === '-' && file === undefined) return checked(await readInput(), 'What was piped in')
  if (file === undefined) return undefined
  throw new Stop(exitCodes.usage, 'Give the key once: by --key-file FILE or by --key -.')
}

async function contents(look: Look, file: string): Promise<string> {
  const text = (await look.stat(file))?.kind === 'folder' ? undefined : await look.read(file)
  if (text === undefined) throw new Stop(exitCodes.usage, `The file of the key, ${file}, is not there.`)
  return text
}

function checked(text: string, from: string): string {
  const key = text.trim()
  if (!form.test(key))
    throw new Stop(
      exitCodes.usage,
      `${from} holds no API key: one line of letters, digits and . _ ~ + / = - is wanted.`,
    )
  return key
}

/** Asks for a key; what is typed is not shown. Undefined where nobody sits, or nothing is typed. */
export async function askKey(ui: Ui, base: string): Promise<string | undefined> {
  if (!ui.attended) return undefined
  const { password } = await import('@inquirer/prompts')
  const typed = await password({ message: `API key for ${base} (it is not shown)`, mask: true })
  return typed.trim() === '' ? undefined : checked(typed, 'What was typed')
}
