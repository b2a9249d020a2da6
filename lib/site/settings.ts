import { isIP } from 'node:net'
import { type Document, parseDocument } from 'yaml'
import { z } from 'zod'
import { Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { places, platformOf } from '../platform/here.ts'
import type { Somewhere } from '../platform/platform.ts'
import { acme } from './acme.ts'
import { parseBudget } from './budget.ts'
import { type Endpoint, endpoints, expandGroups, type Group } from './endpoints.ts'
import { settingsText } from './given.ts'
import { group } from './group.ts'
import { limits as keyLimits, type Limits } from './limits.ts'
import { listenerFaults, listeners } from './listeners.ts'
import { modelName } from './model-name.ts'
import { nodeFaults, nodes, role } from './nodes.ts'
import type { Kinds } from './service-kinds.ts'
import { kindFaults, serviceFaults, services } from './services.ts'
import { type Names, namesOf, settingFaults, shownLine, yamlFault } from './settings-faults.ts'
import { tls } from './tls.ts'
import { vip, vipFaults } from './vip.ts'
import { count, inOurWords } from './wanted.ts'

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
const sizes = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 } as const

const isTime = 'a time such as 90s, 30m or 2h'
const isSize = 'a size such as 512KB or 32MB'

/** What a number without a unit should have been; Ollama's own -1, for ever, is the longest time that there is. */
const withUnit = (words: string, most: string, unit: string) => ({
  error: ({ input }: { input?: unknown }): string | undefined => {
    if (input === null) return undefined
    if (typeof input !== 'number' || !Number.isSafeInteger(input)) return words
    return `${words}; ${input < 0 ? `the most is ${most}` : `write ${input}${unit}, with its unit`}`
  },
})

const duration = z
  .string(withUnit(isTime, '596h', 's'))
  .regex(/^\d{1,6}(ms|s|m|h)$/, isTime)
  .transform((text) => Number.parseInt(text, 10) * units[text.replace(/\d+/, '') as keyof typeof units])
  // HAProxy counts ms in 31 bits.
  .refine((ms) => ms < 2 ** 31, { error: 'a time of 596h at most', abort: true })

const size = z
  .string(withUnit(isSize, '99999GB', 'MB'))
  .regex(/^\d{1,5}(KB|MB|GB)$/, isSize)
  .transform((text) => Number.parseInt(text, 10) * sizes[text.replace(/\d+/, '') as keyof typeof sizes])

/** Bytes of answers a second. */
const speed = size.refine((bytes) => bytes >= 1024 && bytes <= 1024 ** 3, 'from 1KB to 1GB')

const portWords = 'a port from 1024 to 65535, without quotes'
const port = z.int(portWords).min(1024, portWords).max(65535, portWords)

/** What stands in a Host header: a name, also with `_` or a last dot, an address, IPv6 in brackets; each may have a port. */
function isHost(text: string): boolean {
  if (isIP(text) === 6) return true
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([\w-]+(?:\.[\w-]+)*\.?))(?::(\d{1,5}))?$/.exec(text) ?? []
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return false
  return bracketed === undefined ? name !== undefined && name.length <= 254 : isIP(bracketed) === 6
}

const hostWords =
  'a host name as clients write it, such as ai.example.net or ai.example.net:8080; each by itself, without *'
const hostName = z.string(hostWords).refine(isHost, hostWords)

const originWords = 'an origin such as https://chat.example.net, without a path; each by itself, without *'
const origin = z
  .string({
    error: ({ input }) =>
      input === null
        ? 'a page without an address (null) cannot be let in: any page can send that; serve it by http'
        : originWords,
  })
  .regex(/^[a-z][a-z0-9+.-]*:\/\/[^/]+$/i, originWords)
  .refine((text) => isHost(text.replace(/^[^/]*\/\//, '')), originWords)

const listen = z.literal('tailnet', {
  error: (issue) =>
    `only "tailnet" (the tailnet address): ${JSON.stringify(issue.input)} would be ${/^(0\.0\.0\.0|::|\*)/.test(`${issue.input}`) ? 'a wildcard' : 'another'} listener, which listeners are for`,
})

/** Whom a rule means. The letters go into HAProxy's maps and commands; a login's @ and the colons keep them apart from names of keys. */
const rule = z
  .string()
  .max(100, 'a rule of 100 letters at most')
  .regex(
    /^(?:tag:[a-z0-9-]+|device:[a-z0-9.-]+|[a-z0-9][a-z0-9._+-]*@[a-z0-9.-]*)$/,
    'a login such as ann@example.com, tag:NAME or device:NAME, in small letters',
  )

const share = 'a share of the day such as 2h, 200MB or 2h,200MB'

const budget = z.string(share).transform((text, context) => {
  const found = parseBudget(text)
  if (!found) context.addIssue({ code: 'custom', message: share })
  return found ?? {}
})

/** The limits of a key, as far as they make sense for somebody without one, in the words of this file. */
const person = z
  .strictObject({
    groups: z.array(group).min(1).optional(),
    models: keyLimits.shape.models,
    per_minute: keyLimits.shape.perMinute,
    concurrent: keyLimits.shape.concurrent,
    burst: keyLimits.shape.burst,
    waiting: keyLimits.shape.waiting,
    per_day: budget.optional(),
    per_second: speed.optional(),
  })
  .transform(
    ({ groups, per_minute: perMinute, per_day: perDay, per_second: perSecond, ...rest }): Limits => ({
      ...rest,
      ...{ perMinute, perDay, perSecond },
      groups: groups && expandGroups(groups),
    }),
  )

const asksModel = ({ backend }: Endpoint) => backend === 'inference'
const modelRows = endpoints.filter(asksModel).map(({ method, path }) => `${method} ${path}`)
const modelGroups = [...new Set(endpoints.filter(asksModel).map((row) => row.group))]

/** What is counted of requests to a model. */
const counted = z.strictObject({
  per_minute: count(1, 100_000).optional(),
  burst: count(1, 100_000).optional(),
  concurrent: count(1, 10_000).optional(),
})

const limits = counted.extend({
  waiting: count(1, 10_000).optional(),
  per_day: budget.optional(),
  per_second: speed.optional(),
  all: counted.optional(),
  groups: z.partialRecord(z.enum(modelGroups), counted.extend({ per_second: speed.optional() })).optional(),
  rows: z.partialRecord(z.enum(modelRows), counted).optional(),
})

const upTo = (hours: number) =>
  duration.refine((ms) => ms >= 1000 && ms <= hours * 3_600_000, `from 1s to ${hours * 60}m`)

/** How long answers may take, and requests wait, in ms; HAProxy waits 35 minutes at most whatever is said here. */
const times = z.strictObject({
  first_byte: upTo(35 / 60).optional(),
  silence: upTo(35 / 60).optional(),
  whole: upTo(24).optional(),
  queue: upTo(35 / 60).optional(),
})

/** Zero is no wait for HAProxy, but another limit in its place. */
const waitTime = duration.refine((ms) => ms > 0, 'longer than 0s; queue.max: 0 is no queue')

const banWords = 'a number from 40 to 100000: Codex and Claude Code try a wrong key 6 and 11 times'
/** Where Ollama keeps its models when nobody says otherwise (ollama: envconfig/config.go). */
export const defaultModels = '~/.ollama/models'

const folderWords = 'a folder from / or ~/ on, such as /Volumes/T7/ollama'

/** A folder of this machine. Ollama takes quotes and blanks away from the ends of what it is told. */
export const folder = z
  .string(folderWords)
  .max(500, folderWords)
  .regex(/^(~\/|\/)[^\p{Cc}]*[^\s"'\p{Cc}]$/u, folderWords)

/** Every setting by its name, with what it may be; what they must not be together is told apart from that. */
export const fields = z.strictObject({
  role,
  listen: listen.default('tailnet'),
  listeners: listeners.default({}),
  tls: tls.default({}),
  acme: acme.prefault({}),
  port: port.default(11434),
  engine: z.strictObject({ port: port.default(11434) }).prefault({}),
  peers: z.strictObject({ port: port.default(11436) }).prefault({}),
  groups: z
    .array(group, 'at least one group in brackets, such as [agents]')
    .min(1, 'at least one group')
    .default(['agents']),
  access: z
    .enum(['tailnet', 'keys', 'either'], {
      error:
        'tailnet (whoever the tailnet lets in), keys (always an API key) or either (a key, or somebody named under people)',
    })
    .default('tailnet'),
  people: z.record(rule, person).default({}),
  keyless: z
    .array(group)
    .refine((names) => !names.includes('metrics'), 'metrics tells about everybody, so it always needs a key')
    .default([]),
  ban_after: z.int(banWords).min(40, banWords).max(100_000, banWords).default(60),
  limits: limits.default({}),
  timeouts: times.extend({ groups: z.partialRecord(z.enum(modelGroups), times).optional() }).default({}),
  hosts: z.array(hostName).default([]),
  origins: z.array(origin).default([]),
  nodes: nodes.default({}),
  services: services.default({}),
  spread: z
    .enum(['when_full', 'never'], {
      error: 'when_full (a node loads a model while those that have it are full) or never',
    })
    .default('when_full'),
  affinity: z
    .enum(['on', 'off'], { error: 'on (a conversation goes on where it began, if that is not full) or off' })
    .default('on'),
  models: z.array(modelName).default([]),
  models_folder: folder.default(defaultModels),
  inference: z
    .strictObject({
      slots: count(1, 64).default(4),
      parallel: count(1, 64).default(1),
    })
    .prefault({}),
  queue: z.strictObject({ wait: waitTime.prefault('90s'), max: count(0, 10_000).default(64) }).prefault({}),
  keep_alive: duration.prefault('30m'),
  context: z
    .union([z.literal('auto'), count(2048, 1_048_576)], { error: 'auto, or tokens from 2048 to 1048576' })
    .default('auto'),
  body_limit: size.refine((bytes) => bytes > 0, 'from 1KB on').prefault('32MB'),
  chunked_body: size.refine((bytes) => bytes >= 16_384 && bytes <= 4 * 1024 ** 2, 'from 16KB to 4MB').prefault('100KB'),
  judged_body: size.refine((bytes) => bytes >= 131_072 && bytes <= 4 * 1024 ** 2, 'from 128KB to 4MB').prefault('1MB'),
  log: z.enum(['off', 'errors', 'requests']).default('errors'),
  observer: z.enum(['on', 'off']).default('on'),
  firewall: z.enum(['on', 'off']).default('off'),
  vip,
  metrics: z.strictObject({ port: port.default(9411) }).prefault({}),
  alerts: z
    .strictObject({
      notification: z.boolean().default(true),
      webhook: z.url({ protocol: /^https?$/, error: 'an address such as https://example.net/hook' }).optional(),
    })
    .prefault({}),
  drain: duration.prefault('10m'),
})

const schema = fields
  .refine(({ engine, peers }) => engine.port !== peers.port, {
    path: ['peers', 'port'],
    message: 'another port than engine.port: both are on 127.0.0.1',
  })
  .refine(({ engine, peers, metrics }) => metrics.port !== engine.port && metrics.port !== peers.port, {
    path: ['metrics', 'port'],
    message: 'another port than engine.port and peers.port: all are on 127.0.0.1',
  })
  .refine(({ engine, peers, metrics, acme }) => ![engine.port, peers.port, metrics.port].includes(acme.port), {
    path: ['acme', 'port'],
    message: 'another port than engine.port, peers.port and metrics.port: all are on 127.0.0.1',
  })
  .refine(({ access, groups }) => access !== 'tailnet' || !groups.includes('metrics'), {
    path: ['groups'],
    message: 'metrics tells about everybody, so it always needs a key; set access to keys or either',
  })
  .refine(({ observer, groups }) => observer === 'on' || !groups.includes('metrics'), {
    path: ['groups'],
    message: 'metrics are served by the observer; set observer to on, or leave metrics out',
  })
  .superRefine(({ listeners, tls, port }, context) => {
    for (const fault of listenerFaults(listeners, tls, port)) context.addIssue({ code: 'custom', ...fault })
  })
  .superRefine((settings, context) => {
    for (const fault of [...nodeFaults(settings), ...serviceFaults(settings), ...vipFaults(settings)])
      context.addIssue({ code: 'custom', ...fault })
  })

/** The settings with defaults filled in: times in ms, sizes in bytes, groups still by name. */
export type Settings = z.infer<typeof schema>

/** Whether some listener asks for a key. */
export const asksKeys = ({ access, listeners: { inside, lan, public: open } }: Listening): boolean =>
  access !== 'tailnet' || inside?.access === 'keys' || lan !== undefined || open !== undefined

/** Whether some listener lets in whoever reaches it. */
export const asksNobody = ({ access, listeners: { inside } }: Listening): boolean =>
  access === 'tailnet' || inside?.access === 'from'

/** What decides whether a key is asked for. */
export type Listening = Pick<Settings, 'access' | 'listeners'>

/** Whether some listener asks for client certificates. */
export const asksCertificates = ({ listeners: { lan, public: open } }: Pick<Settings, 'listeners'>): boolean =>
  [lan, open].some((one) =>
    (typeof one?.certificates === 'object' ? Object.values(one.certificates) : [one?.certificates ?? 'none']).some(
      (use) => use !== 'none',
    ),
  )

/** Whether somebody may have a share of the day only: any key can, and by the settings every address, and whom a rule means. */
export const budgeted = (settings: Settings): boolean =>
  asksKeys(settings) ||
  settings.limits.per_day !== undefined ||
  Object.values(settings.people).some(({ perDay }) => perDay)

/** Whether the gateway asks the tailnet who somebody is. */
export const identifies = ({ access, people }: Settings): boolean =>
  access === 'either' || (access !== 'keys' && Object.keys(people).length > 0)

/** Whether a request may end by a time limit of the owner's: any key can have one, and the settings. */
export const timed = (settings: Settings): boolean => asksKeys(settings) || Object.keys(settings.timeouts).length > 0

/** Whether people are told apart at all. */
export const counting = (settings: Settings): boolean =>
  Object.keys(settings.limits).length > 0 || identifies(settings) || timed(settings)

/** Where the settings live. */
export const settingsFile = (at: Somewhere): string => places(at).settings

/** Checks settings from YAML text; throws `Stop` (exit 2) with every fault, its key's path and its line. What recipes of services say against them is told where `kinds` are given. */
export function parseSettings(text: string, file: string, kinds?: Kinds): Settings {
  if (text.includes('\uFFFD')) throw new Stop(2, `${file} is not UTF-8 text; save it as UTF-8 and run again.`)
  const document = parseDocument(text)
  const judged = kinds
    ? schema.superRefine((settings, context) => {
        for (const fault of kindFaults(settings, kinds)) context.addIssue({ code: 'custom', ...fault })
      })
    : schema
  const result = judged.safeParse(readable(document, text, file) ?? {}, { reportInput: true, error: inOurWords })
  if (result.success) return result.data
  // What two rules find wrong with one value is one fault.
  const faults = [...new Set(result.error.issues.flatMap((issue) => settingFaults(issue, text, document, names())))]
  throw new Stop(
    2,
    `${file} has ${faults.length} fault${faults.length > 1 ? 's' : ''}; nothing was changed.\n${faults.join('\n')}`,
  )
}

let known: Names | undefined

function names(): Names {
  known ??= namesOf(z.toJSONSchema(fields, { io: 'input', unrepresentable: 'any' }))
  return known
}

function readable(document: Document, text: string, file: string): unknown {
  try {
    if (document.errors.length === 0) return document.toJS()
  } catch {
    // An alias that means nothing is met only here.
  }
  const { words, line } = yamlFault(text, document.errors[0], names())
  throw new Stop(2, `${file} is not YAML: ${words}; nothing was changed.\n${shownLine(text, line)}`)
}

/** The same settings with these models to load at login; comments and everything else stay as they are. */
export function withModels(text: string, models: string[]): string {
  const document = parseDocument(text)
  document.set('models', document.createNode(models, { flow: true }))
  return document.toString({ lineWidth: 0 })
}

/** The same settings with another folder of models. */
export function withModelsFolder(text: string, folder: string): string {
  const document = parseDocument(text)
  document.set('models_folder', folder)
  return document.toString({ lineWidth: 0 })
}

/** The folder of the models, from the root on: Ollama's own unless another is set. */
export const modelsFolder = ({ models_folder: folder }: Pick<Settings, 'models_folder'>, at: Somewhere): string =>
  folder === defaultModels
    ? platformOf(at).models(at.home)
    : folder.replace(/^~(?=\/)/, at.home).replace(/(?<=.)\/+$/, '')

/** Reads the settings file; the defaults when there is none. Throws `Stop` (exit 2) when it is faulty. */
export async function readSettings(look: Look, file = settingsFile(look)): Promise<Settings> {
  return parseSettings((await settingsText(look, file)) ?? '', file)
}

/** The groups that these settings open. */
export const openGroups = (settings: Settings): Group[] => expandGroups(settings.groups)

/** Whether GET /connect shows its page: somebody must make it. */
export const showsPage = (settings: Settings): boolean =>
  settings.observer === 'on' && openGroups(settings).includes('connect')

/** Tokens of context: by memory (bytes) when `auto`, as agents' first requests alone are 8,000 to 20,000 tokens. */
export function contextLength(settings: Settings, memory: number): number {
  if (settings.context !== 'auto') return settings.context
  const gigabytes = memory / 1024 ** 3
  if (gigabytes < 16) return 16_384
  if (gigabytes < 32) return 32_768
  return gigabytes < 96 ? 65_536 : 131_072
}

/** A time in HAProxy's and Ollama's spelling: 90000 ms is `90s`. */
export const spell = (ms: number): string => (ms % 1000 ? `${ms}ms` : `${ms / 1000}s`)
