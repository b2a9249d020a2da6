import { readFileSync, statSync } from 'node:fs'
import { type PlistValue, parse, parseBinary } from 'plist'
import { errno } from './errors.ts'

/** Conditions of a KeepAlive dictionary; they are OR-ed. */
export interface KeepAliveWhen {
  successfulExit?: boolean
  crashed?: boolean
}

/** A job as its plist describes it, with launchd's defaults filled in. Source: launchd.plist(5). */
export interface JobSpec {
  path: string
  label: string
  program: string
  /** all words, the program's name first */
  args: string[]
  inferredProgram: boolean
  runAtLoad: boolean
  keepAlive: boolean | KeepAliveWhen
  throttleSeconds: number
  exitTimeoutSeconds: number
  startIntervalSeconds?: number
  environment: Record<string, string>
  stdoutPath?: string
  stderrPath?: string
  workingDirectory?: string
  umask?: number
  softFiles?: number
  hardFiles?: number
  processType: string
  sessionTypes: string[]
  abandonProcessGroup: boolean
  disabled: boolean
}

/** Why a plist is refused: launchd's error number, and the reason that only its log gives. */
export interface Refusal {
  errno: number
  reason: string
}

type Dict = Record<string, PlistValue>

function isDict(value: PlistValue | undefined): value is Dict {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && value.constructor === Object
}

function text(value: PlistValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function count(value: PlistValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function flag(value: PlistValue | undefined): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

function texts(value: PlistValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

function textMap(value: PlistValue | undefined): Record<string, string> {
  const entries = Object.entries(isDict(value) ? value : {})
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/** The root dictionary of a plist in XML or binary form; throws when it is neither. */
export function parseJobPlist(bytes: Uint8Array): Dict {
  const head = Buffer.from(bytes.subarray(0, 64)).toString('latin1')
  if (head.startsWith('bplist')) return rootDict(parseBinary(bytes))
  const xml = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  // The parser also takes the old brace form, which launchd does not read from a file.
  if (!/^\s*<(\?xml|!DOCTYPE|plist)/.test(xml)) throw new Error('neither XML nor a binary property list')
  if (!/<\/plist>\s*$/.test(xml)) throw new Error('the XML ends before </plist>')
  return rootDict(parse(xml))
}

function rootDict(value: PlistValue): Dict {
  if (!isDict(value)) throw new Error('the root is no dictionary')
  return value
}

function keepAlive(value: PlistValue | undefined): boolean | KeepAliveWhen {
  if (!isDict(value)) return value === true
  const when: KeepAliveWhen = {}
  const successfulExit = flag(value.SuccessfulExit)
  const crashed = flag(value.Crashed)
  if (successfulExit !== undefined) when.successfulExit = successfulExit
  if (crashed !== undefined) when.crashed = crashed
  return when
}

function umaskOf(value: PlistValue | undefined): number | undefined {
  // An integer is decimal; a string is read by strtoul, so a leading zero means octal.
  if (typeof value !== 'string') return count(value)
  const mask = Number.parseInt(value, value.startsWith('0') ? 8 : 10)
  return Number.isNaN(mask) ? undefined : mask
}

function sessionTypes(value: PlistValue | undefined): string[] {
  const listed = typeof value === 'string' ? [value] : texts(value)
  return listed.length > 0 ? listed : ['Aqua']
}

function files(limits: PlistValue | undefined): number | undefined {
  return isDict(limits) ? count(limits.NumberOfFiles) : undefined
}

function positive(value: PlistValue | undefined, otherwise: number): number {
  const seconds = count(value)
  return seconds !== undefined && seconds > 0 ? seconds : otherwise
}

/** Drops what is not given, so that an absent key stays absent. */
function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

function specOf(path: string, label: string, program: string, args: string[], dict: Dict): JobSpec {
  return given({
    path,
    label,
    program,
    args,
    inferredProgram: text(dict.Program) === undefined,
    runAtLoad: dict.RunAtLoad === true,
    keepAlive: keepAlive(dict.KeepAlive),
    throttleSeconds: positive(dict.ThrottleInterval, 10),
    // 5 s is what `launchctl print` shows today; 0 waits for ever.
    exitTimeoutSeconds: count(dict.ExitTimeOut) ?? 5,
    startIntervalSeconds: count(dict.StartInterval),
    environment: textMap(dict.EnvironmentVariables),
    stdoutPath: text(dict.StandardOutPath),
    stderrPath: text(dict.StandardErrorPath),
    workingDirectory: text(dict.WorkingDirectory),
    umask: umaskOf(dict.Umask),
    softFiles: files(dict.SoftResourceLimits),
    hardFiles: files(dict.HardResourceLimits),
    processType: text(dict.ProcessType) ?? 'Standard',
    sessionTypes: sessionTypes(dict.LimitLoadToSessionType),
    abandonProcessGroup: dict.AbandonProcessGroup === true,
    disabled: dict.Disabled === true,
  })
}

function refuse(code: number, reason: string): Refusal {
  return { errno: code, reason }
}

function checkFile(path: string, owners: number[]): Refusal | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return refuse(errno.badPath, 'no such file')
  if (!stat.isFile()) return refuse(errno.badPath, 'not a file')
  if ((stat.mode & 0o022) !== 0 || !owners.includes(stat.uid)) {
    return refuse(errno.badOwner, 'Path had bad ownership/permissions')
  }
  return undefined
}

function readDict(path: string): Dict | Refusal {
  try {
    return parseJobPlist(readFileSync(path))
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    return refuse(errno.badPlist, `Invalid property list: ${why}`)
  }
}

/** Whether reading a plist ended in a refusal. */
export function isRefusal(value: object): value is Refusal {
  return 'errno' in value && 'reason' in value
}

/** Reads and checks the plist of a job as launchd does at bootstrap; `owners` are the user ids it may belong to. */
export function readJob(path: string, owners: number[]): JobSpec | Refusal {
  const bad = checkFile(path, owners)
  if (bad) return bad
  const dict = readDict(path)
  if (isRefusal(dict)) return dict
  const label = text(dict.Label)
  if (!label) return refuse(errno.noLabel, 'Invalid or missing service identifier')
  const args = texts(dict.ProgramArguments)
  const program = text(dict.Program) ?? args[0]
  if (!program) return refuse(errno.noProgram, 'Invalid or missing Program/ProgramArguments')
  return specOf(path, label, program, args.length > 0 ? args : [program], dict)
}
