import { type Client, type Connection, keyOf, keyVariable, type Launch } from '../clients/client.ts'
import { clients } from '../clients/index.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { handOver } from '../host/handed.ts'
import { type Host, realHost } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { clientNamed } from './connect.ts'
import { firstQuestion, NoAnswer } from './launch/first-question.ts'
import { askKey } from './launch/key-given.ts'
import { forget, keep, launchFolder } from './launch/launch-kept.ts'
import { type Reached, reach } from './launch/reached.ts'

const launched = clients.flatMap(({ name, launch }) => (launch ? [name] : []))

/** rop launch: starts a client for a server, with the person's own settings of it as they were. */
export async function launch(ui: Ui, flags: Flags, [name, ...words]: string[]): Promise<number> {
  const host = realHost(ui.note, ui.waiting)
  if (flags.forget) return forgotten(ui, host)
  const client = launchable(name)
  const program = await host.find([client.launch.program])
  if (!program && !flags.print)
    throw new Stop(
      exitCodes.precondition,
      `${client.title} is not on this machine's PATH; get it with: ${client.launch.get}`,
    )
  const reached = await reach(host, ui, flags)
  const to = flags.print ? await connection(reached, reached.key) : await answered(ui, host, client, reached)
  if (!flags.print && !reached.setup) await keep(host, { server: reached.base })
  const paths = await filed(host, client.launch, to)
  const env = { ...client.launch.env(to, paths), [keyVariable]: keyOf(to) }
  const argv = [program ?? client.launch.program, ...client.launch.args(to), ...words]
  if (!flags.print) return handOver(argv, env)
  ui.secret(shellText(argv, env))
  return exitCodes.done
}

/** The client of this name, which can be started; throws `Stop` (exit 2). */
function launchable(name: string | undefined): Client & { launch: Launch } {
  if (name === undefined) throw new Stop(exitCodes.usage, `${typed('launch')} takes a client: ${launched.join(', ')}.`)
  const client = clientNamed(name)
  if (client.launch) return { ...client, launch: client.launch }
  throw new Stop(
    exitCodes.usage,
    `${typed('launch')} knows ${launched.join(', ')}; what to paste into ${client.title}, says: ${typed(`connect ${name}`)}`,
  )
}

const connection = async (reached: Reached, key: string | undefined): Promise<Connection> => ({
  base: reached.base,
  context: reached.context,
  model: await reached.model(key),
  ...(key === undefined ? {} : { key }),
})

/** The connection that gave an answer to one question; where a key is asked for, the person is asked for it once. Throws `NoAnswer`. */
async function answered(ui: Ui, host: Host, client: Client, reached: Reached): Promise<Connection> {
  try {
    return await tried(ui, host, client, reached, reached.key)
  } catch (error) {
    const key = error instanceof NoAnswer && error.key ? await askKey(ui, reached.base) : undefined
    if (key === undefined) throw error
    const to = await tried(ui, host, client, reached, key)
    if (await ui.confirm(`Keep this key for the next time (in ${launchFolder(host)}, for you alone to read)?`, false))
      await keep(host, { keys: { [reached.base]: key } })
    return to
  }
}

async function tried(ui: Ui, host: Host, client: Client, reached: Reached, key?: string): Promise<Connection> {
  const done = ui.busy(`Asking ${reached.base} one question first; a model that is not loaded takes its time`)
  try {
    const to = await connection(reached, key)
    await firstQuestion(host, client, to)
    return to
  } finally {
    done()
  }
}

/** Writes the files that the client reads; gives their paths by their names. */
async function filed(host: Host, { files }: Launch, to: Connection): Promise<Record<string, string>> {
  const texts = Object.entries(files?.(to) ?? {})
  if (texts.length === 0) return {}
  await keep(host, { files: texts.map(([name]) => name) })
  const paths = texts.map(([name]) => [name, `${launchFolder(host)}/${name}`] as const)
  for (const [name, text] of texts) await host.write(`${launchFolder(host)}/${name}`, `${text}\n`)
  return Object.fromEntries(paths)
}

async function forgotten(ui: Ui, host: Host): Promise<number> {
  const gone = await forget(host)
  ui.say(gone.length > 0 ? `Removed: ${gone.join(', ')}` : `${typed('launch')} has written nothing here.`)
  return exitCodes.done
}

const quote = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

/** The same as lines for a shell. */
function shellText(argv: string[], env: Record<string, string | undefined>): string {
  const lines = Object.entries(env).map(([name, value]) =>
    value === undefined ? `unset ${name}` : `export ${name}=${quote(value)}`,
  )
  return [...lines, argv.map(quote).join(' ')].join('\n')
}

export const script: Script = {
  usage: `Usage: ${typed('launch')} CLIENT [options] [-- ARGUMENTS]
Asks the server one question and then starts a client for it: ${launched.join(', ')}.
The client's own settings stay as they are; what has to be written lies in ~/.config/remote-ollama-proxy/launch.

  --model NAME         another model than the one that is chosen
  --server ADDRESS     the server, where this machine is none; it is remembered
  --key-file FILE      the API key, where one is asked for; without it you are asked
  --context N          tokens of context to count on
  --print              print the environment and the command, and start nothing
  --forget             remove what ${typed('launch')} has written
  -- ARGUMENTS         words for the client itself`,
  options: {
    model: { type: 'string' },
    server: { type: 'string' },
    'key-file': { type: 'string' },
    context: { type: 'string' },
    print: { type: 'boolean' },
    forget: { type: 'boolean' },
  },
  positionals: true,
  words: launched,
  run: launch,
}
