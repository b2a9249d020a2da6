import { isIP } from 'node:net'
import { exitCodes, json, Stop } from '../../host/command.ts'
import type { Look } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import { reachableAs, typedTailscale } from '../../platform/tailscale.ts'
import { engineAddress } from '../../site/engine.ts'
import type { Machine } from '../../site/machine.ts'
import { modelName } from '../../site/model-name.ts'
import { forClients, sameModel, tags } from '../../site/models.ts'
import { didYouMean } from '../../site/nearest.ts'
import { contextLength } from '../../site/settings.ts'
import type { Setup } from '../../site/setup.ts'
import type { Flags, Ui } from '../cli.ts'
import { baseUrl } from '../next-steps.ts'
import { answeringHere, fromOutside } from '../outside.ts'
import { installed, prepare } from '../prepare.ts'
import { mustAnswer, send } from './first-question.ts'
import { keyGiven } from './key-given.ts'
import { type Kept, kept } from './launch-kept.ts'

/** Where a client asks from here, as far as it is known without asking it. */
export interface Reached {
  base: string
  key?: string
  context: number
  /** the server's own settings, where this machine is the server */
  setup?: Setup
  /** a model that the server has */
  model(key?: string): Promise<string>
}

/** Tokens that a client may count on where the server's own settings are not at hand. */
const modestContext = 32_768

/** This machine where it is a server, else the one of `--server`, else the one that was used last. Throws `Stop`. */
export async function reach(look: Look, ui: Ui, flags: Flags): Promise<Reached> {
  const given = await keyGiven(look, flags)
  const context = contextOf(flags)
  const wanted = modelOf(flags)
  const outside = fromOutside(look)
  const here = flags.server === undefined && !outside && (await installed(look)) ? await prepare(look, ui) : undefined
  const before = await kept(look)
  const seen = flags.server === undefined && outside ? await answeringHere(look) : undefined
  const base = here ? ownBase(here.machine, here.setup) : (seen ?? serverOf(flags, before))
  const key = given ?? before?.keys[base]
  const common = { base, ...(key === undefined ? {} : { key }) }
  if (!here)
    return { ...common, context: context ?? modestContext, model: (last) => modelAfar(look, base, last, wanted) }
  const { machine, setup } = here
  return {
    ...common,
    context: context ?? contextLength(setup.settings, machine.memory),
    setup,
    model: () => ownModel(look, machine, setup, wanted),
  }
}

function serverOf({ server }: Flags, before: Kept | undefined): string {
  const base = typeof server === 'string' ? serverBase(server) : before?.server
  if (base !== undefined) return base
  throw new Stop(
    exitCodes.usage,
    `This machine is no server, so ${typed('connect')} and ${typed('launch')} need its address: --server NAME, such as studio.tail1234.ts.net.`,
  )
}

function contextOf({ context }: Flags): number | undefined {
  if (context === undefined) return undefined
  const tokens = Number(context)
  if (/^\d{4,7}$/.test(`${context}`) && tokens >= 2048) return tokens
  throw new Stop(exitCodes.usage, `--context takes a number of tokens such as 65536, not ${JSON.stringify(context)}.`)
}

function modelOf({ model }: Flags): string | undefined {
  if (model === undefined) return undefined
  const read = modelName.safeParse(model)
  if (read.success) return read.data
  throw new Stop(exitCodes.usage, `--model takes ${read.error.issues[0]?.message}.`)
}

/** A server as it is typed: a name or an address, with or without port and http://. Throws `Stop` (exit 2). */
export function serverBase(text: string): string {
  const given = isIP(text) === 6 ? `[${text}]` : text
  const whole = /^[a-z]+:\/\//i.test(given) ? given : `http://${given}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  const plain = url && ['', '/', '/v1', '/v1/'].includes(url.pathname) && !url.username && !url.search
  if (!plain || url.protocol !== 'http:' || !/^[a-z0-9.:[\]_-]+$/.test(url.hostname))
    throw new Stop(
      exitCodes.usage,
      `--server takes the address that ${typed('connect')} shows on the server, such as studio.tail1234.ts.net, not ${JSON.stringify(text.slice(0, 80))}.`,
    )
  return `http://${url.hostname}:${url.port || 11434}`
}

function ownBase(machine: Machine, setup: Setup): string {
  if (setup.mode === 'local') return `http://127.0.0.1:${setup.settings.engine.port}`
  if (reachableAs(machine.tailscale) !== undefined) return baseUrl(machine, setup)
  throw new Stop(
    exitCodes.precondition,
    `Tailscale is not up here, so the address that clients ask is not known; start it with: ${typedTailscale(machine.tailscale)} up`,
  )
}

/** The engine is asked itself, past the gateway: which model it is needs no key of the owner. */
async function ownModel(look: Look, machine: Machine, setup: Setup, wanted?: string): Promise<string> {
  const all = await tags(look, engineAddress(machine, setup), setup.settings.engine.port)
  const names = all?.map(({ name }) => name)
  return chosen(names, wanted, setup.settings.models, `get it with: ${typed('warm')} ${wanted}`)
}

function chosen(names: string[] | undefined, wanted: string | undefined, settled: string[], cure: string): string {
  if (wanted !== undefined && (names === undefined || names.some((name) => sameModel(name, wanted)))) return wanted
  if (wanted !== undefined)
    throw new Stop(
      exitCodes.usage,
      `The model ${wanted} is not there${didYouMean(wanted, names ?? []) || '.'} There are: ${names?.join(', ') || 'none'}; ${cure}.`,
    )
  const model = names === undefined ? settled[0] : forClients(names, settled)
  if (model !== undefined) return model
  throw new Stop(exitCodes.precondition, `No model is there to ask; on the server: ${typed('warm')} NAME`)
}

/** What the gateway lists for this key; it lists what the key may use. Throws `NoAnswer`. */
async function modelAfar(look: Look, base: string, key?: string, wanted?: string): Promise<string> {
  if (wanted !== undefined) return wanted
  const to = { base, ...(key === undefined ? {} : { key }) }
  const answer = await send(look, to, 'GET', '/v1/models')
  mustAnswer(answer, to)
  const { data } = (json(answer.body) ?? {}) as { data?: { id: string }[] | null }
  const names = (data ?? []).map(({ id }) => id)
  return chosen(names, undefined, [], '')
}
