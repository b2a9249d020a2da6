import { Chalk } from 'chalk'
import { describe, expect, it } from 'vitest'
import { screen as doctorScreen } from '../lib/commands/doctor.ts'
import { greeting } from '../lib/commands/install.ts'
import type { Plan } from '../lib/commands/plan.ts'
import type { Proof } from '../lib/commands/prove.ts'
import { endScreen } from '../lib/commands/screens/end.ts'
import { keyScreen } from '../lib/commands/screens/key.ts'
import { folded, planPages, planScreen } from '../lib/commands/screens/plan.ts'
import { type Removal, removalScreen } from '../lib/commands/screens/removal.ts'
import { statusScreen } from '../lib/commands/screens/status.ts'
import { partLine, proofLine } from '../lib/commands/screens/work.ts'
import { wrapped, wrappedHelp } from '../lib/commands/screens/wrap.ts'
import { type Verb, verbs } from '../lib/commands/verbs.ts'
import { asRop } from '../lib/host/typed.ts'
import { consent } from '../lib/parts/consent.ts'
import { parts } from '../lib/parts/index.ts'
import type { Part } from '../lib/parts/part.ts'
import type { Machine } from '../lib/site/machine.ts'
import { parseSettings } from '../lib/site/settings.ts'
import type { Setup } from '../lib/site/setup.ts'
import { isStep, type Result } from '../lib/steps/step.ts'
import { setup as defaults, jobs, machine as sample } from './sample.ts'

const machine: Machine = {
  ...sample,
  tailscale: { ...sample.tailscale, name: 'studio.tail1234.ts.net', ipv6: 'fd7a:115c:a1e0::1' },
}
const setup: Setup = { ...defaults, jobs, settings: parseSettings('models: [qwen3-coder:30b]', 'settings.yaml') }
const container: Machine = {
  ...sample,
  system: 'container',
  tailscale: { ...sample.tailscale, name: undefined, ipv4: '172.18.0.2' },
}
const inContainer: Setup = {
  ...setup,
  settings: parseSettings('role: gateway\naccess: keys\nport: 8080\nhosts: [192.168.1.5, localhost]', 'settings.yaml'),
}
const withKeys: Setup = {
  ...setup,
  settings: parseSettings('models: [qwen3-coder:30b]\naccess: keys', 'settings.yaml'),
  registry: {
    ...setup.registry,
    keys: { bob: { created: '2026-11-01T00:00:00Z', expires: '2026-12-01T12:00:00Z', hashes: [] } },
  },
}
const now = Date.parse('2026-11-29T12:00:00Z')

const result = (id: string, title: string, state: Result['state'], saw: string, remedy?: string): Result => ({
  ...{ id, title, state, saw, remedy },
  ms: 1,
})
const passed = Array.from({ length: 139 }, (_, at) => result(`part.check-${at}`, 'It holds', 'ok', 'yes'))
const sleeps = result(
  'power.sleep',
  'The Mac does not fall asleep on mains power',
  'advice',
  'this Mac falls asleep after 1 min on mains power, and then answers nobody',
  'sudo pmset -c sleep 0 disksleep 0',
)
const login = result(
  'power.login',
  'Somebody is logged in after a restart',
  'advice',
  'nobody is logged in automatically, so after a restart nothing of this runs until you log in',
  'System Settings > Users & Groups > Automatically log in as',
)
/** What the first line of status says already. */
const ended = result(
  'haproxy.keys',
  'The keys that count are those of the owner’s file',
  'advice',
  'access: keys is set and every key has ended, so nobody gets in',
  'rop keys add NAME',
)
const stopped = result(
  'ollama.service',
  'Ollama runs as written and answers',
  'missed',
  'com.ollama is not loaded',
  'Run rop install again.',
)
const after = ['ollama.loopback-only', 'ollama.user'].map((id) => ({
  ...result(id, 'It holds', 'skipped', 'rests on ollama.service'),
  rests: 'ollama.service',
}))

const bare = { ...machine, tailscale: { ...machine.tailscale, ipv4: undefined } }
const planned = (where: Machine): Result[] =>
  parts
    .flatMap((part) => part.steps(where, setup).filter(isStep))
    .map(({ id, title }) => result(id, title, 'planned', 'not there yet'))
const plan = (results: Result[]): Plan => ({
  results,
  intents: [{ kind: 'service', text: 'launchctl bootstrap' }],
  advice: [],
  asks: new Map([
    ['your password', ['Homebrew', 'Tailscale', 'Power']],
    ['RETURN', ['Homebrew']],
    ['a click to allow its extension', ['Tailscale']],
    ['a browser login within 10 minutes', ['Tailscale']],
  ]),
})

const proof = (of: Setup, results: Result[], code = 0): Proof => ({
  machine,
  setup: of,
  results,
  code,
  target: {
    address: '100.64.0.1',
    port: 11434,
    host: '100.64.0.1:11434',
    engine: { address: '127.0.0.1', port: 11434 },
    groups: [],
    model: { name: 'qwen3-coder:30b', capabilities: [] },
  },
})
const overview = {
  up: 273_600,
  loaded: [{ name: 'qwen3-coder:30b', size: 22.3e9 }],
  installed: 3,
  live: {
    running: [
      { pid: '1', session: '1', who: 'bob', client: '100.64.0.7:5', whole: 0, started: now, model: 'qwen3-coder:30b' },
    ],
    waiting: 0,
    rates: [],
    refusals: [],
  },
}

const installed = { ...defaults.receipt, folders: ['/Users/ada/.haproxy'] }
const keyMade = (of: Setup): string =>
  keyScreen(
    {
      ...{ name: 'bob', key: 'rop_ThisIsNoKeyThisIsNoKeyThisIsNoKeyThi', model: 'qwen3-coder:30b' },
      ...{ base: 'http://studio.tail1234.ts.net:11434', setup: { ...of, receipt: installed } },
    },
    asRop,
  ).join('\n')

const removals: Removal[] = parts
  .flatMap((part) =>
    part
      .steps(machine, setup)
      .filter(isStep)
      .filter(({ undo, keeps }) => undo || keeps)
      .map(({ undo, undone, keeps }) => ({
        part: part.about(machine, setup).title,
        ...(undo ? { gone: undone } : { stays: keeps }),
      })),
  )
  .reverse()

type Screen = (chalk: InstanceType<typeof Chalk>) => string

/** What has nothing to do by these settings is not named. */
const does = (part: Part): boolean => part.steps(machine, setup).length > 0

const screens: Record<string, Screen> = {
  before: () => greeting,
  consent: () => consent,
  plan: (chalk) => planScreen(plan(planned(bare)), bare, setup, chalk),
  'plan-of-few-steps': (chalk) => planScreen(plan(planned(machine).slice(0, 3)), machine, setup, chalk),
  work: (chalk) =>
    [
      ...parts
        .filter(does)
        .flatMap(
          (part, at) =>
            partLine(
              part.about(machine, setup),
              at === 8 ? [sleeps] : [result('x.y', 'It holds', at > 0 ? 'done' : 'ok', 'yes')],
              chalk,
            ) ?? [],
        ),
      proofLine(passed, 'ALL AS PROMISED', 0, chalk),
    ].join('\n'),
  end: (chalk) => endScreen(proof(setup, [...passed, sleeps, login]), asRop, chalk),
  'end-with-keys': (chalk) => endScreen(proof(withKeys, passed), asRop, chalk),
  'end-in-a-container': (chalk) => endScreen({ ...proof(inContainer, passed), machine: container }, asRop, chalk),
  status: (chalk) => statusScreen({ machine, setup, results: [...passed, login], overview }, asRop, chalk, now),
  'status-with-keys': (chalk) =>
    statusScreen(
      { machine, setup: withKeys, results: [...passed, ended, login], overview, backup: now },
      asRop,
      chalk,
      now,
    ),
  'status-when-settings-wait': (chalk) => {
    const waiting = ['From now on a key is asked for; there are 0.', 'queue.max is 3 now; it was 64.']
    return statusScreen({ machine, setup, results: [...passed, login], overview, waiting }, asRop, chalk, now)
  },
  removal: () => removalScreen(removals),
  'removal-of-nothing': () => removalScreen([]),
  'key-made': () => keyMade(withKeys),
  'key-made-while-none-is-asked-for': () => keyMade(setup),
  'doctor-when-ollama-is-stopped': (chalk) => doctorScreen([...passed.slice(9), stopped, ...after, sleeps], chalk),
  'status-when-ollama-is-stopped': (chalk) =>
    statusScreen(
      { machine, setup, results: [...passed.slice(9), stopped, ...after], overview: { up: 5, live: overview.live } },
      asRop,
      chalk,
      now,
    ),
}

const escapes = /\x1b\[\d+m/g

describe.each(Object.entries(screens))('the screen %s', (name, screen) => {
  it.each([
    [80, 0],
    [80, 1],
    [60, 0],
    [60, 1],
  ] as const)('at %i columns, colours %i, is as it was looked at', async (width, level) => {
    const text = wrapped(screen(new Chalk({ level })), width)
    await expect(`${text}\n`).toMatchFileSnapshot(`screens/${name}.${width}${level ? '.colour' : ''}.txt`)
  })

  it('fits a terminal of 80 by 24, but for lines to be copied', () => {
    const lines = wrapped(screen(new Chalk({ level: 1 })), 80)
      .replaceAll(escapes, '')
      .split('\n')
    expect(lines.filter((line) => line.length > 80 && !line.startsWith('    '))).toEqual([])
    expect(lines.length).toBeLessThanOrEqual(24)
  })
})

it('the plan has at most 15 lines', () => {
  expect(wrapped(screens.plan?.(new Chalk({ level: 0 })) ?? '', 80).split('\n').length).toBeLessThanOrEqual(15)
})

describe.each(Object.entries<Verb>(verbs))('the help of %s', (_name, verb) => {
  it.each([80, 60])('has no line wider than %i columns, and loses no word', async (width) => {
    const { usage } = await verb.script()
    const text = wrappedHelp(usage, width)
    expect(text.split('\n').filter((line) => line.length > width)).toEqual([])
    expect(text.split(/\s+/)).toEqual(usage.split(/\s+/))
  })
})

it('the help of keys keeps what an option does in its column', async () => {
  const { usage } = await verbs.keys.script()
  await expect(`${wrappedHelp(usage, 80)}\n`).toMatchFileSnapshot('screens/help-keys.80.txt')
})

it('every page of the plan’s details fits a terminal of 80 by 24 with the question below it', () => {
  const diff = Array.from({ length: 200 }, (_, at) => `+ line ${at}`).join('\n')
  const intents = [
    ...Array.from({ length: 30 }, (_, at) => ({ kind: 'file' as const, text: `${machine.home}/file-${at} (new)` })),
    { kind: 'file' as const, text: `${machine.home}/.haproxy/haproxy.cfg (changed)`, diff },
  ]
  const pages = planPages({ ...plan(planned(bare)), intents }, bare, setup)
  expect(pages.length).toBe(3)
  for (const page of pages) {
    const text = wrapped(folded(page, 'rop install --dry-run'), 80)
    expect(text.split('\n').length).toBeLessThanOrEqual(23)
    expect(text).toContain(' more: rop install --dry-run')
  }
})
