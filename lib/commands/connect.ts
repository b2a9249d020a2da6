import { renderUnicodeCompact } from 'uqr'
import type { Client, Connection } from '../clients/client.ts'
import { clients } from '../clients/index.ts'
import { kinds, missingGroups, snippetText } from '../clients/text.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { asOwn } from '../people/own-probes.ts'
import { didYouMean } from '../site/nearest.ts'
import type { Setup } from '../site/setup.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { type Reached, reach } from './launch/reached.ts'
import { answeringHere, fromOutside } from './outside.ts'
import { installed } from './prepare.ts'

/** The client of this name; throws `Stop` (exit 2). */
export function clientNamed(name: string): Client {
  const client = clients.find((one) => one.name === name)
  if (client) return client
  const near = didYouMean(
    name,
    clients.map((one) => one.name),
  )
  throw new Stop(
    exitCodes.usage,
    `No client is called ${JSON.stringify(name.slice(0, 40))}${near || '.'} ${typed('connect')} lists those that are known.`,
  )
}

/** rop connect: what to paste into a client. */
export async function connect(ui: Ui, flags: Flags, names: string[]): Promise<number> {
  const look = asOwn(realLook(ui.note, ui.waiting))
  if (names.length > 1) throw new Stop(exitCodes.usage, `${typed('connect')} takes one client, not ${names.length}.`)
  const [name] = names
  if (name === undefined) return list(ui, look, flags)
  const client = clientNamed(name)
  if (client.never) return tell(ui, flags, client)
  const reached = await reach(look, ui, flags)
  const { base, context, key, setup } = reached
  const asks = key === undefined && setup !== undefined && asksKey(setup)
  const to = { base, model: await reached.model(key), context, ...(asks ? { key: 'KEY' } : key ? { key } : {}) }
  return tell(ui, flags, client, to, setup, asks)
}

/** Whether these settings ask somebody for a key. */
export const asksKey = ({ mode, settings }: Setup): boolean => mode === 'proxy' && settings.access !== 'tailnet'

function tell(ui: Ui, flags: Flags, client: Client, to?: Connection, setup?: Setup, asks = false): number {
  const needs = setup?.mode === 'proxy' ? missingGroups(client, setup.settings.groups) : []
  if (ui.json) process.stdout.write(`${JSON.stringify(described(client, needs, to, asks), null, 2)}\n`)
  if (!to) ui.say(`${client.title} cannot be connected: ${client.never}`)
  else {
    ui.say(`${client.title} with ${to.model} on ${to.base}\n`)
    ui.secret(snippetText(client, to))
    if (flags.qr) ui.secret(`\n${renderUnicodeCompact(`${apiBase(client, to)}\n${to.key ?? ''}`.trim())}`)
  }
  for (const text of afterwards(client, needs, setup, asks)) ui.say(`\n${text}`)
  return exitCodes.done
}

/** The base URL as this client's API writes it. */
const apiBase = ({ groups: [first] }: Client, { base }: Connection): string =>
  first === 'openai' || first === 'responses' ? `${base}/v1` : base

function afterwards(client: Client, needs: string[], setup: Setup | undefined, asks: boolean): string[] {
  const opened = [...(setup?.settings.groups ?? []), ...needs]
  return [
    ...(asks ? [`KEY stands for an API key; make one with: ${typed('keys add NAME')}`] : []),
    ...(needs.length > 0
      ? [
          `It needs what is not open here (${needs.join(', ')}). Write into settings.yaml:\n  groups: [${opened.join(', ')}]\nand then: ${typed('apply')}`,
        ]
      : []),
    ...(client.notes && client.notes.length > 0 ? [client.notes.join('\n')] : []),
    ...(client.launch ? [`Started for you, without a change to its settings: ${typed(`launch ${client.name}`)}`] : []),
  ]
}

const described = (client: Client, needs: string[], to: Connection | undefined, asks: boolean) => ({
  name: client.name,
  title: client.title,
  ...(client.never ? { never: client.never } : {}),
  ...(to ? { base: to.base, model: to.model, context: to.context, asksKey: asks } : {}),
  needs,
  snippets: to ? client.snippets(to) : [],
  notes: client.notes ?? [],
})

/** Whether this machine is a server, as far as whoever asks may see. */
const serves = async (look: Look): Promise<boolean> =>
  fromOutside(look) ? (await answeringHere(look)) !== undefined : installed(look)

/** Every client by its kind; where this machine is a server, with what its settings do not open for them. */
async function list(ui: Ui, look: Look, flags: Flags): Promise<number> {
  const here = flags.server !== undefined || (await serves(look)) ? await reach(look, ui, flags) : undefined
  const open = here?.setup?.settings.groups
  const needs = (client: Client) => (open && !client.never ? missingGroups(client, open) : [])
  if (ui.json) {
    const all = clients.map((client) => described(client, needs(client), undefined, false))
    process.stdout.write(`${JSON.stringify({ base: here?.base, clients: all }, null, 2)}\n`)
    return exitCodes.done
  }
  ui.say(listed(here, needs))
  return exitCodes.done
}

function listed(here: Reached | undefined, needs: (client: Client) => string[]): string {
  const word = (client: Client) => `${client.name}${client.never ? '*' : needs(client).length > 0 ? '+' : ''}`
  const rows = Object.entries(kinds).map(([kind, words]) => {
    const names = clients.filter((client) => client.kind === kind).map(word)
    return `  ${words.padEnd(12)}${wrapped(names, 66).join(`\n${' '.repeat(14)}`)}`
  })
  const closed = clients.some((client) => needs(client).length > 0)
  const launched = clients.filter(({ launch }) => launch).map(({ name }) => name)
  return [
    here ? `Clients of ${here.base}` : 'Clients that are known',
    '',
    ...rows,
    '',
    `  * cannot be connected; it is said why${closed ? '    + needs more than settings.yaml opens' : ''}`,
    '',
    `What to paste:       ${typed('connect NAME')}`,
    `Started for you:     ${typed(`launch ${launched.join('|')}`)}`,
  ].join('\n')
}

/** Words in lines of at most so many letters. */
function wrapped(words: string[], width: number): string[] {
  const lines = ['']
  for (const word of words) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

export const script: Script = {
  usage: `Usage: ${typed('connect')} [NAME] [options]
Lists the clients that are known, or prints what to paste into one of them: this server's address, a model that is there, and your key.

  --model NAME         another model than the one that is chosen
  --key-file FILE      puts the key of this file in the place of KEY; --key - reads it from standard input
  --server ADDRESS     another server than this machine
  --context N          tokens of context to count on
  --qr                 the base URL and the key as a QR code
  --json               one JSON document on stdout`,
  options: {
    model: { type: 'string' },
    'key-file': { type: 'string' },
    key: { type: 'string' },
    server: { type: 'string' },
    context: { type: 'string' },
    qr: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  positionals: true,
  words: clients.map(({ name }) => name),
  run: connect,
}
