import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { asOwn } from '../people/own-probes.ts'
import { didYouMean } from '../site/nearest.ts'
import { readSettings } from '../site/settings.ts'
import { takeLock } from '../steps/receipt.ts'
import { fitsOnly } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { add, bring, type Call, remove } from './nodes/change.ts'
import { join } from './nodes/join.ts'
import { list } from './nodes/list.ts'
import { drain, ready, wake } from './nodes/state.ts'
import { why } from './nodes/why.ts'
import { installed } from './prepare.ts'

/** Those that change something, one at a time. */
const changes: Record<string, (call: Call) => Promise<number>> = {
  add,
  remove,
  import: bring,
  join,
  drain,
  ready,
  wake,
}
const looks: Record<string, (call: Call) => Promise<number>> = {
  list: ({ ui, host, settings, flags }) => list(ui, host, settings, flags.watch === true),
  why({ ui, host, settings, names }) {
    const [model, ...more] = names
    if (model === undefined || more.length > 0)
      throw new Stop(exitCodes.usage, `Which model? ${typed('nodes')} why MODEL`)
    return why(ui, host, settings, model)
  },
}

/** nodes: the engines behind this gateway. */
async function nodes(ui: Ui, flags: Flags, [verb = 'list', ...names]: string[]): Promise<number> {
  fitsOnly('nodes', verb, flags, only)
  const host = asOwn(realHost(ui.note, ui.waiting))
  const settings = await readSettings(host)
  const call = { ui, host, settings, flags, names }
  const look = Object.hasOwn(looks, verb) ? looks[verb] : undefined
  if (look) return look(call)
  const change = Object.hasOwn(changes, verb) ? changes[verb] : undefined
  if (!change)
    throw new Stop(
      exitCodes.usage,
      `${called('nodes')} does ${words.join(', ')}, not ${JSON.stringify(verb.slice(0, 40))}${didYouMean(verb, words) || '.'}`,
    )
  if (!(await installed(host)))
    throw new Stop(
      exitCodes.precondition,
      `Nothing is installed here yet; run ${called('install')} first. Nothing was changed.`,
    )
  return alone(host, () => change(call))
}

/** What each option goes with. */
const only = {
  ...Object.fromEntries(['engine', 'slots', 'speed', 'key', 'tls', 'mac'].map((flag) => [flag, ['add']])),
  wait: ['drain'],
  watch: ['list'],
}

const words = [...Object.keys(looks), ...Object.keys(changes)]

async function alone(host: Host, work: () => Promise<number>): Promise<number> {
  const release = await takeLock(host)
  return work().finally(release)
}

export const script: Script = {
  usage: `Usage: ${typed('nodes')} [list] | why MODEL | add NAME ADDRESS[:PORT] | remove NAME | import FILE | join NAME | drain NAME | ready NAME | wake NAME [options]
The engines behind this gateway: each request goes to the one that has its model, loaded and free before others.

  list             how each node does; --watch: every second until q, on a terminal
  why MODEL        what each node would cost a request now, and which is asked next
  add NAME ADDRESS[:PORT]
                   asks the engine there what it is and has, then sends requests to it, too
  remove NAME      sends it none any more; what runs there goes on
  import FILE      the servers of an nginx upstream (upstream_ollama.conf)
  join NAME        a line for another machine, which then becomes a node with a key of its own
  drain NAME       no new requests; --wait ends when nothing of its runs
  ready NAME       it takes requests again
  wake NAME        calls a sleeping machine on this network (mac: in settings.yaml)

  --engine KIND    ollama, gateway, vllm, llamacpp, lmstudio or mlx; asked of the node unless told
  --slots N        requests that it works on at once (4)
  --speed N        of two that are free the faster is asked (1)
  --key file:PATH  the file with the key that it asks for
  --tls FILE       https, and who signs its certificate (PEM)
  --mac ADDRESS    its hardware address, for wake
  --wait           with drain: until its answers have ended
  --json           one JSON document on stdout`,
  options: {
    engine: { type: 'string' },
    slots: { type: 'string' },
    speed: { type: 'string' },
    key: { type: 'string' },
    tls: { type: 'string' },
    mac: { type: 'string' },
    wait: { type: 'boolean' },
    watch: { type: 'boolean' },
    json: { type: 'boolean' },
    yes: { type: 'boolean' },
    verbose: { type: 'boolean' },
  },
  positionals: true,
  words,
  log: ([verb]) => (verb !== undefined && Object.hasOwn(changes, verb) ? 'nodes' : undefined),
  run: nodes,
}
