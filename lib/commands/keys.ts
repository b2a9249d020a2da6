import { renderUnicodeCompact } from 'uqr'
import { keyNeeds } from '../gateway/needs.ts'
import { cutStreams } from '../haproxy/cut.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { bans, unban } from '../people/bans.ts'
import { notGiven, readRegistry } from '../people/given.ts'
import { type Left, leftText, readImport } from '../people/import.ts'
import { generateKey, hashKey } from '../people/key.ts'
import { meant } from '../people/lists.ts'
import { asOwn } from '../people/own-probes.ts'
import { saveRegistry } from '../people/registry.ts'
import { budgetText } from '../site/budget.ts'
import { engineAddress } from '../site/engine.ts'
import type { Entry, Limits, Registry } from '../site/limits.ts'
import type { Machine } from '../site/machine.ts'
import { forClients, tags } from '../site/models.ts'
import { didYouMean } from '../site/nearest.ts'
import { contextLength } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { takeLock } from '../steps/receipt.ts'
import { fitsOnly, notOneFile } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { clientCertificate, type Handed } from './client-certificate.ts'
import { answered, fewSpeeds, listsFit, newEnough, notApart, pending, putInForce, reloadFor } from './in-force.ts'
import { graceOf, oneName, only, withFlags } from './key-options.ts'
import { baseUrl, clients } from './next-steps.ts'
import { installed, prepare } from './prepare.ts'
import { keyScreen } from './screens/key.ts'
import { complain } from './screens/wrap.ts'
import { waitingIn } from './waiting.ts'

interface Call {
  ui: Ui
  flags: Flags
  names: string[]
  host: Host
  machine: Machine
  setup: Setup
}

type Verb = (call: Call) => Promise<number>

/** keys.ts: makes, shows, changes and revokes API keys. */
export async function keys(ui: Ui, flags: Flags, names: string[]): Promise<number> {
  const [verb = 'list', ...rest] = names
  const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
  if (!run)
    throw new Stop(
      exitCodes.usage,
      `${called('keys')} has no ${JSON.stringify(verb.slice(0, 40))}; it has ${Object.keys(verbs).join(', ')}${didYouMean(verb, Object.keys(verbs))}`,
    )
  fitsOnly('keys', verb, flags, only)
  if (bare.includes(verb) && rest.length > 0)
    throw new Stop(
      exitCodes.usage,
      `${called(`keys ${verb}`)} takes nothing more, but ${JSON.stringify(rest.join(' ').slice(0, 80))} was given${verb === 'export' ? `; into a file: ${typed('keys export')} > FILE` : ''}.`,
    )
  const host = asOwn(realHost(ui.note, ui.waiting))
  return run({ ui, flags, names: rest, host, ...(await prepare(host, ui)) })
}

interface Changed<T> {
  result: T
  /** 5 when the change is kept but not wholly in force */
  code: number
  /** false when a worker may still go by what was before */
  inForce: boolean
}

/** Changes the registry under the lock; what `edit` throws leaves everything as it was. */
async function change<T>({ host, machine, setup }: Call, edit: (registry: Registry) => T): Promise<Changed<T>> {
  const release = await takeLock(host)
  try {
    const registry = await readRegistry(host)
    const before = structuredClone(registry)
    const result = edit(registry)
    fewSpeeds(registry, before)
    await newEnough(host, machine, setup, keyNeeds(registry, before))
    await listsFit(host, setup, registry, before)
    await saveRegistry(host, registry)
    const inForce = !(await installed(host)) || (await putInForce(host, setup, registry, before))
    // The key is kept and known by now, so whoever asked for it must be shown it, whatever becomes of the reload.
    const code = await reloadFor(host, machine, { ...setup, registry }, before).catch((error: Error) => {
      complain(`The change is kept, but ${pending}: ${error.message}`)
      return exitCodes.partly
    })
    return { result, inForce, code: code || (inForce ? await answered(host, setup) : exitCodes.partly) }
  } finally {
    await release()
  }
}

function known(registry: Registry, name: string): Entry {
  const entry = Object.hasOwn(registry.keys, name) ? registry.keys[name] : undefined
  if (!entry)
    throw new Stop(exitCodes.usage, `There is no key for ${name}; ${called('keys')} list shows those there are.`)
  return entry
}

/** Said once, when such a key is made. */
const power =
  'This key may download, delete, create, copy and upload models for everybody, fill the disk, and push models in the name of this machine’s Ollama account: give it to nobody whom you would not let sit here.'

/** Prints a key once, with what clients need; the log of the run does not get it. */
async function tell(call: Call, name: string, key: string, code: number, made?: Handed): Promise<number> {
  const { ui, flags, host, machine, setup } = call
  const base = baseUrl(machine, setup)
  if (ui.json) {
    const certificate = made && { file: made.file, password: made.password }
    const told = { name, key, openai: `${base}/v1`, anthropic: base, certificate }
    process.stdout.write(`${JSON.stringify(told, null, 2)}\n`)
    return code
  }
  const model = await modelFor(call, name)
  // What is only written in the settings asks nobody for a key.
  const settings = (await waitingIn(host, setup))?.inForce ?? setup.settings
  const [head, secret, next] = keyScreen({ name, key, base, model, setup: { ...setup, settings } }, typed)
  ui.say(head)
  ui.secret(secret)
  if (flags.qr) ui.secret(renderUnicodeCompact(`${base}/v1\n${key}`))
  ui.say(next)
  if (ui.verbose) ui.secret(`\n${clients(base, model, contextLength(setup.settings, machine.memory), key)}`)
  return code
}

/** One that is installed and that this key may use. */
async function modelFor({ host, machine, setup }: Call, name: string): Promise<string> {
  const there = await tags(host, engineAddress(machine, setup), setup.settings.engine.port)
  const names = (there ?? setup.settings.models.map((one) => ({ name: one }))).map((one) => one.name)
  const globs = (await readRegistry(host)).keys[name]?.models
  const own = globs ? names.filter((one) => meant(one, globs)) : names
  return forClients(own, setup.settings.models) ?? 'MODEL'
}

const add: Verb = async (call) => {
  const name = oneName(call.names, 'add')
  const limits = withFlags({}, call.flags)
  const key = generateKey()
  const certificate = call.flags.certificate === true ? await clientCertificate(call, name) : undefined
  const { code } = await change(call, (registry) => {
    if (Object.hasOwn(registry.keys, name))
      throw new Stop(
        exitCodes.usage,
        `There is a key for ${name} already; use another name, or ${called('keys')} rotate ${name}.`,
      )
    registry.keys[name] = {
      ...limits,
      created: new Date().toISOString(),
      hashes: [{ sha256: hashKey(key) }],
      ...(certificate && { certificates: [{ sha256: certificate.sha256 }] }),
    }
  })
  if (limits.admin) complain(power)
  await warn(call, name, limits)
  return tell(call, name, key, code, certificate)
}

/** A moment as a person reads it; a day given by --expires begins in UTC, too. */
const moment = (iso: string): string => `${iso.slice(0, 16).replace('T', ' ')} UTC`

const rotate: Verb = async (call) => {
  const name = oneName(call.names, 'rotate')
  const until = new Date(Date.now() + graceOf(call.flags)).toISOString()
  const key = generateKey()
  const { code, inForce } = await change(call, (registry) => {
    const entry = known(registry, name)
    notGiven(call.host, name, entry)
    const [newest] = entry.hashes.slice(-1)
    const old = newest && call.flags.grace ? [{ ...newest, until }] : []
    entry.hashes = [...old, { sha256: hashKey(key) }]
  })
  if (!call.ui.json)
    call.ui.say(
      call.flags.grace
        ? `The old key counts until ${moment(until)}.`
        : inForce
          ? 'The old key counts no longer.'
          : 'The old key may still count in the running gateway.',
    )
  return tell(call, name, key, code)
}

const limit: Verb = async (call) => {
  const name = oneName(call.names, 'limits')
  if (call.flags.admin)
    throw new Stop(
      exitCodes.usage,
      '--admin goes with add only, so that no key in use becomes another one; make a key of its own for that. Nothing was changed.',
    )
  const { result: entry, code } = await change(call, (registry) => {
    const before = known(registry, name)
    const { created, hashes, given, certificates, ...limits } = before
    const who = { created, hashes, ...(given && { given }), ...(certificates && { certificates }) }
    registry.keys[name] = { ...withFlags(limits, call.flags), ...who }
    return registry.keys[name]
  })
  print(call.ui, { [name]: entry })
  await warn(call, name, entry)
  return code
}

/** Says what of these limits the HAProxy that is installed cannot do. */
async function warn({ host, setup }: Call, name: string, limits: Limits): Promise<void> {
  for (const text of await notApart(host, setup, { [name]: limits })) complain(text)
}

const revoke: Verb = async (call) => {
  const name = oneName(call.names, 'revoke')
  const { code, inForce } = await change(call, (registry) => {
    notGiven(call.host, name, known(registry, name))
    delete registry.keys[name]
  })
  const cut = call.flags.cut ? await cutOff(call.host, name) : undefined
  const done = inForce
    ? `The key for ${name} counts no longer.`
    : `The key for ${name} is revoked, but may still count in the running gateway.`
  const rest = call.flags.cut ? undefined : 'Answers that run go on; --cut ends them.'
  if (call.ui.json) process.stdout.write(`${JSON.stringify({ name, revoked: true, inForce, cut }, null, 2)}\n`)
  else call.ui.say([done, rest ?? (cut === undefined ? [] : `${cut} running answers were cut.`)].flat().join(' '))
  return call.flags.cut && cut === undefined ? exitCodes.partly : code
}

/** How many running answers were cut; undefined when some may go on, which is said. */
const cutOff = (host: Host, name: string): Promise<number | undefined> =>
  cutStreams(host, name).catch((error: unknown) => {
    if (!(error instanceof Stop)) throw error
    complain(`Running answers of ${name} may go on; ${error.message}`)
    return undefined
  })

const bring: Verb = async (call) => {
  const file = call.names[0] ?? ''
  const there = file === '-' || (await call.host.stat(file))?.kind === 'file'
  const text = there ? await call.host.read(file === '-' ? '/dev/stdin' : file) : undefined
  if (text === undefined || call.names.length !== 1) throw notOneFile('keys import', call.names)
  const { result, code } = await change(call, (registry) => {
    const found = readImport(text, file, registry)
    const { keys } = found.registry
    const names = Object.keys(keys).filter((name) => Object.hasOwn(registry.keys, name))
    const all = [...hashesOf(registry), ...hashesOf(found.registry)]
    if (names.length > 0)
      throw new Stop(exitCodes.usage, `There are keys for ${names.join(', ')} already; nothing was changed.`)
    if (new Set(all).size < all.length)
      throw new Stop(exitCodes.usage, `${file} holds a key that is here already or twice; nothing was changed.`)
    Object.assign(registry.keys, keys)
    return found
  })
  print(call.ui, result.registry.keys)
  tellLeft(result.left)
  return code || (result.left.some(({ lost }) => lost) ? exitCodes.partly : exitCodes.done)
}

function tellLeft(left: Left[]): void {
  if (left.length > 0) complain(`Not imported:\n${left.map(leftText).join('\n')}`)
}

const hashesOf = (registry: Registry): string[] =>
  Object.values(registry.keys).flatMap(({ hashes }) => hashes.map(({ sha256 }) => sha256))

const list: Verb = async ({ ui, host }) => print(ui, (await readRegistry(host)).keys)

const show: Verb = async ({ ui, host, names }) => {
  const name = oneName(names, 'show')
  return print(ui, { [name]: known(await readRegistry(host), name) })
}

const send: Verb = async ({ host }) => {
  process.stdout.write(`${JSON.stringify(await readRegistry(host), null, 2)}\n`)
  return exitCodes.done
}

const listBans: Verb = async ({ ui, host }) => {
  const found = await bans(host)
  if (ui.json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
  for (const { address, wrongAMinute, secondsLeft } of found)
    ui.say(`${address.padEnd(40)} ${wrongAMinute} wrong keys a minute · ${secondsLeft} s left`)
  if (found.length === 0) ui.say('No address is banned.')
  return exitCodes.done
}

const endBan: Verb = async ({ ui, host, names }) => {
  const [address] = names
  if (address === undefined || names.length > 1)
    throw new Stop(exitCodes.usage, `${called('keys')} unban takes one address; ${called('keys')} bans lists them.`)
  await unban(host, address)
  if (ui.json) process.stdout.write(`${JSON.stringify({ address, unbanned: true }, null, 2)}\n`)
  else ui.say(`${address} is banned no longer.`)
  return exitCodes.done
}

const verbs: Record<string, Verb> = {
  ...{ add, list, show, rotate, revoke, limits: limit, import: bring, export: send },
  bans: listBans,
  unban: endBan,
}

/** What takes neither name nor file. */
const bare = ['list', 'export', 'bans']

function print(ui: Ui, entries: Registry['keys']): number {
  if (ui.json) process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`)
  for (const [name, entry] of Object.entries(entries)) ui.say(`${name.padEnd(20)} ${described(entry)}`)
  if (Object.keys(entries).length === 0) ui.say(`There are no keys; make one with: ${typed('keys')} add NAME`)
  return exitCodes.done
}

/** What a key may do, in one line. */
export function described(entry: Entry): string {
  const over = entry.expires && Date.parse(entry.expires) < Date.now()
  const parts = [
    entry.expires ? `${over ? 'EXPIRED' : 'until'} ${moment(entry.expires)}` : 'no end',
    entry.models ? `models ${entry.models.join(',')}` : '',
    entry.groups ? `groups ${entry.groups.join(',')}` : 'all open groups',
    entry.admin ? 'ADMIN: may change the models' : '',
    entry.perMinute ? `${entry.perMinute} a minute` : '',
    entry.burst ? `${entry.burst} in 10 s` : '',
    entry.concurrent ? `${entry.concurrent} at once` : '',
    entry.waiting ? `${entry.waiting} while every slot is taken` : '',
    entry.perDay ? `${budgetText(entry.perDay)} a day` : '',
    entry.firstByte ? `${entry.firstByte} s to the first byte` : '',
    entry.silence ? `${entry.silence} s of silence` : '',
    entry.whole ? `${entry.whole} s a request` : '',
    entry.queue ? `${entry.queue} s in the queue` : '',
    entry.perSecond ? `${budgetText({ bytes: entry.perSecond })} a second` : '',
    entry.hashes.some(({ until }) => until && Date.parse(until) > Date.now()) ? 'an old key still counts' : '',
    entry.note ?? '',
  ]
  return parts.filter(Boolean).join(' · ')
}

export const script: Script = {
  usage: `Usage: ${typed('keys')} add NAME [limits] | list | show NAME | rotate NAME [--grace 24h] | revoke NAME [--cut]
       limits NAME [limits] | import FILE | export | bans | unban ADDRESS
API keys for the gateway. A key is shown once, when it is made; only its hash is kept. Changes hold at the next request.

  --models 'qwen3*,…'  only these models; lists and bodies are then judged by the gateway
  --groups A,B         only these groups or presets of the endpoint table (all that settings.yaml opens)
  --per-minute N       requests to a model a minute
  --burst N            requests to a model in any 10 seconds
  --concurrent N       requests to a model at once
  --waiting N          requests to a model under way while every slot is taken
  --per-day 2h,200MB   seconds of generation and bytes of answers from midnight to midnight
  --first-byte 5m      how long an answer may take to begin; --silence 60s: to go on; --whole 10m: to end
  --queue 30s          how long a request may wait for a slot (HAProxy 3.4 or newer)
  --per-second 200KB   bytes of answers a second (HAProxy 3.0 or newer)
  --expires 30d        when it ends: a time from now, or a day such as 2027-01-31
  --certificate        a client certificate, too, as a PKCS#12 file in this folder (add)
  --admin              may also download, delete, create, copy and upload models (add)
  --note TEXT          a word for yourself
  --qr                 the base URL and the key as a QR code
  --grace TIME         how long the old key counts beside the new one (rotate)
  --cut                ends the answers that run with the key (revoke)
  --verbose            the settings of the best known clients, with the key in them (add, rotate)
  --json               one JSON document on stdout
A limit is taken away by the word none: ${called('keys')} limits NAME --per-minute none`,
  options: {
    models: { type: 'string' },
    groups: { type: 'string' },
    'per-minute': { type: 'string' },
    burst: { type: 'string' },
    concurrent: { type: 'string' },
    waiting: { type: 'string' },
    'per-day': { type: 'string' },
    'first-byte': { type: 'string' },
    silence: { type: 'string' },
    whole: { type: 'string' },
    queue: { type: 'string' },
    'per-second': { type: 'string' },
    expires: { type: 'string' },
    certificate: { type: 'boolean' },
    admin: { type: 'boolean' },
    note: { type: 'string' },
    qr: { type: 'boolean' },
    grace: { type: 'string' },
    cut: { type: 'boolean' },
    verbose: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  positionals: true,
  // As with status: what changes nothing leaves no log, and an export is a document.
  log: (argv) => (['list', 'show', 'export', 'bans'].includes(argv[0] ?? 'list') ? undefined : 'keys'),
  run: keys,
}
