import { renderUnicodeCompact } from 'uqr'
import type { Flags, Ui } from '../cli.ts'
import { exitCodes, Stop } from '../command.ts'
import { type Host, realHost } from '../host.ts'
import type { Machine } from '../machine.ts'
import { baseUrl, clients } from '../next-steps.ts'
import { configurationOf } from '../parts/gateway.ts'
import type { Setup } from '../parts/part.ts'
import { swap } from '../proxy/reload.ts'
import { runningFingerprint } from '../proxy/runtime.ts'
import { contextLength } from '../settings.ts'
import { prepare } from '../setup.ts'
import { currentReceipt, takeLock } from '../state.ts'
import { cutStreams } from './cut.ts'
import { readImport } from './import.ts'
import { generateKey, hashKey } from './key.ts'
import { graceOf, oneName, withFlags } from './options.ts'
import { type Entry, type Registry, readRegistry } from './registry.ts'
import { keep } from './store.ts'

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
  const run = verbs[verb]
  if (!run)
    throw new Stop(
      exitCodes.usage,
      `keys.ts has no ${JSON.stringify(verb.slice(0, 40))}; it has ${Object.keys(verbs).join(', ')}.`,
    )
  const host = realHost(ui.note)
  return run({ ui, flags, names: rest, host, ...(await prepare(host, ui)) })
}

/** Changes the registry under the lock; what `edit` throws leaves everything as it was. */
async function change<T>({ host, machine, setup }: Call, edit: (registry: Registry) => T): Promise<T> {
  const release = await takeLock(host)
  try {
    const before = await readRegistry(host)
    const registry = structuredClone(before)
    const result = edit(registry)
    await keep(host, registry, setup.settings)
    await judgeBodies(host, machine, { ...setup, registry: before }, registry)
    return result
  } finally {
    await release()
  }
}

/** The first list of models, and the end of the last one, change HAProxy's buffers: a reload, unless other changes wait for install.ts. */
async function judgeBodies(host: Host, machine: Machine, setup: Setup, registry: Registry): Promise<void> {
  const [old, configuration] = [configurationOf(machine, setup), configurationOf(machine, { ...setup, registry })]
  if (old.fingerprint === configuration.fingerprint || (await runningFingerprint(host)) === undefined) return
  if ((await runningFingerprint(host)) !== old.fingerprint)
    throw new Stop(
      exitCodes.partly,
      'The key is kept, but the gateway runs with other settings than settings.yaml; run install.ts.',
    )
  await swap(host, { receipt: await currentReceipt(host), configuration, haproxy: setup.programs.haproxy })
}

function known(registry: Registry, name: string): Entry {
  const entry = registry.keys[name]
  if (!entry) throw new Stop(exitCodes.usage, `There is no key for ${name}; keys.ts list shows those there are.`)
  return entry
}

/** Prints a key once, with what clients need; the log of the run does not get it. */
function tell({ ui, flags, machine, setup }: Call, name: string, key: string): number {
  const base = baseUrl(machine, setup)
  if (ui.json) {
    process.stdout.write(`${JSON.stringify({ name, key, openai: `${base}/v1`, anthropic: base }, null, 2)}\n`)
    return exitCodes.done
  }
  ui.say(`The key for ${name}, shown this once and kept nowhere:`)
  ui.secret(`\n  ${key}\n`)
  if (flags.qr) ui.secret(renderUnicodeCompact(`${base}/v1\n${key}`))
  ui.say('  Only whoever has it, and the hash of it, get in. Settings for clients:\n')
  ui.secret(clients(base, setup.settings.models[0] ?? 'MODEL', contextLength(setup.settings, machine.memory), key))
  if (setup.settings.access === 'tailnet')
    ui.say('\nNo key is asked for yet: set `access: keys` in settings.yaml and run install.ts.')
  return exitCodes.done
}

const add: Verb = async (call) => {
  const name = oneName(call.names, 'add')
  const limits = withFlags({}, call.flags)
  const key = generateKey()
  await change(call, (registry) => {
    if (registry.keys[name])
      throw new Stop(
        exitCodes.usage,
        `There is a key for ${name} already; use another name, or keys.ts rotate ${name}.`,
      )
    registry.keys[name] = { ...limits, created: new Date().toISOString(), hashes: [{ sha256: hashKey(key) }] }
  })
  return tell(call, name, key)
}

const rotate: Verb = async (call) => {
  const name = oneName(call.names, 'rotate')
  const until = new Date(Date.now() + graceOf(call.flags)).toISOString()
  const key = generateKey()
  await change(call, (registry) => {
    const entry = known(registry, name)
    const [newest] = entry.hashes.slice(-1)
    const old = newest && call.flags.grace ? [{ ...newest, until }] : []
    entry.hashes = [...old, { sha256: hashKey(key) }]
  })
  if (!call.ui.json)
    call.ui.say(call.flags.grace ? `The old key counts until ${until}.` : 'The old key counts no longer.')
  return tell(call, name, key)
}

const limit: Verb = async (call) => {
  const name = oneName(call.names, 'limits')
  const entry = await change(call, (registry) => {
    const before = known(registry, name)
    const { created, hashes, ...limits } = before
    registry.keys[name] = { ...withFlags(limits, call.flags), created, hashes }
    return registry.keys[name]
  })
  return print(call.ui, { [name]: entry })
}

const revoke: Verb = async (call) => {
  const name = oneName(call.names, 'revoke')
  await change(call, (registry) => {
    known(registry, name)
    delete registry.keys[name]
  })
  const cut = call.flags.cut ? await cutStreams(call.host, name) : undefined
  if (call.ui.json) process.stdout.write(`${JSON.stringify({ name, revoked: true, cut }, null, 2)}\n`)
  else
    call.ui.say(
      `The key for ${name} counts no longer.${cut === undefined ? ' Answers that run go on; --cut ends them.' : ` ${cut} running answers were cut.`}`,
    )
  return exitCodes.done
}

const bring: Verb = async (call) => {
  const file = call.names[0] ?? ''
  const text = await call.host.read(file)
  if (text === undefined || call.names.length !== 1)
    throw new Stop(exitCodes.usage, `keys.ts import takes one file; ${JSON.stringify(file)} is not there.`)
  const found = readImport(text, file)
  await change(call, (registry) => {
    const twice = Object.keys(found.keys).filter((name) => registry.keys[name])
    if (twice.length > 0)
      throw new Stop(exitCodes.usage, `There are keys for ${twice.join(', ')} already; nothing was changed.`)
    Object.assign(registry.keys, found.keys)
  })
  return print(call.ui, found.keys)
}

const list: Verb = async ({ ui, host }) => print(ui, (await readRegistry(host)).keys)

const show: Verb = async ({ ui, host, names }) => {
  const name = oneName(names, 'show')
  return print(ui, { [name]: known(await readRegistry(host), name) })
}

const send: Verb = async ({ host }) => {
  process.stdout.write(`${JSON.stringify(await readRegistry(host), null, 2)}\n`)
  return exitCodes.done
}

const verbs: Record<string, Verb> = { add, list, show, rotate, revoke, limits: limit, import: bring, export: send }

function print(ui: Ui, entries: Registry['keys']): number {
  if (ui.json) process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`)
  for (const [name, entry] of Object.entries(entries)) ui.say(`${name.padEnd(20)} ${described(entry)}`)
  if (Object.keys(entries).length === 0) ui.say('There are no keys; make one with: npx tsx keys.ts add NAME')
  return exitCodes.done
}

function described(entry: Entry): string {
  const over = entry.expires && Date.parse(entry.expires) < Date.now()
  const parts = [
    entry.expires ? `${over ? 'EXPIRED' : 'until'} ${entry.expires.slice(0, 16).replace('T', ' ')}` : 'no end',
    entry.models ? `models ${entry.models.join(',')}` : '',
    entry.groups ? `groups ${entry.groups.join(',')}` : 'all open groups',
    entry.perMinute ? `${entry.perMinute} a minute` : '',
    entry.concurrent ? `${entry.concurrent} at once` : '',
    entry.hashes.length > 1 ? 'an old key still counts' : '',
    entry.note ?? '',
  ]
  return parts.filter(Boolean).join(' · ')
}
