import { type Answer, type Call, fail, ok } from './answer.ts'
import { bootout, bootstrap, legacyLoad, legacyUnload } from './bootstrap.ts'
import { printDisabled, setDisabled } from './disabled.ts'
import { errno, errorText } from './errors.ts'
import { list } from './list.ts'
import { readMac } from './mac.ts'
import { printDomain, printJob } from './print.ts'
import { signalOf } from './signals.ts'
import { restartJob, schedule, signalJob, terminate } from './supervise.ts'
import { badTarget, callersDomain, findDomain, findJob, noDomain, noService, parseTarget } from './target.ts'
import { usage } from './usage.ts'
import { type Job, type World, when } from './world.ts'

type Verb = (world: World, call: Call) => Answer | Promise<Answer>

function misused(): Answer {
  return fail(errno.usage, usage().trimEnd())
}

const print: Verb = (world, call) => {
  const word = call.argv[1]
  if (word === undefined) return misused()
  const target = parseTarget(word)
  if (!target) return badTarget(world, word)
  const domain = findDomain(world, target)
  if (!domain) return noDomain(world, target)
  if (!target.label) return ok(printDomain(world, domain))
  const job = domain.jobs.get(target.label)
  return job ? ok(printJob(world, job)) : noService(world, target)
}

const printDisabledIn: Verb = (world, call) => {
  const word = call.argv[1]
  const target = word === undefined ? undefined : parseTarget(word)
  if (word === undefined || !target || target.label) return word === undefined ? misused() : badTarget(world, word)
  return target.kind !== 'system' && target.id !== readMac(world.box).uid
    ? noDomain(world, target)
    : ok(printDisabled(world.box))
}

function switchLabel(disabled: boolean): Verb {
  return (world, call) => {
    const word = call.argv[1]
    const target = word === undefined ? undefined : parseTarget(word)
    if (word === undefined || !target?.label) return word === undefined ? misused() : badTarget(world, word)
    if (target.kind !== 'system' && target.id !== readMac(world.box).uid) return noDomain(world, target)
    setDisabled(world.box, target.label, disabled)
    return ok()
  }
}

function flags(words: string[]): Set<string> {
  return new Set(words.filter((word) => /^-\w+$/.test(word)).flatMap((word) => word.slice(1).split('')))
}

async function pidOf(world: World, call: Call, job: Job, runsBefore: number): Promise<Answer> {
  await when(world, () => job.removing || job.runs > runsBefore)
  const pid = job.child?.pid
  if (pid === undefined) return fail(5, `Could not kickstart service "${job.spec.label}": 5: ${errorText(5)}`)
  return ok(call.tty ? `service spawned with pid: ${pid}\n` : `${pid}\n`)
}

const kickstart: Verb = (world, call) => {
  const words = call.argv.slice(1)
  const word = words.find((one) => !one.startsWith('-'))
  const given = flags(words)
  if (word === undefined || [...given].some((flag) => !'kps'.includes(flag))) return misused()
  const found = findJob(world, word)
  if ('answer' in found) return found.answer
  const { job } = found
  const runsBefore = job.child && !given.has('k') ? job.runs - 1 : job.runs
  if (job.removing) return fail(errno.already)
  // A start that is under way, or waits for its throttle, is not hurried.
  if (!job.child && job.startTimer && !given.has('p')) return fail(errno.already)
  if (given.has('k')) restartJob(world, job)
  else schedule(world, job, 'non-ipc demand')
  return given.has('p') ? pidOf(world, call, job, runsBefore) : ok()
}

const kill: Verb = (world, call) => {
  const [name, word] = call.argv.slice(1)
  if (name === undefined || word === undefined) return misused()
  const signal = signalOf(name)
  if (!signal) return fail(errno.usage, 'Invalid signal.')
  const found = findJob(world, word)
  if ('answer' in found) return found.answer
  return signalJob(world, found.job, signal) ? ok() : fail(errno.noProcess, 'No process to signal.')
}

/** `start` and `stop` take a bare label and are silent about one that they do not know. */
function legacyLabel(act: (world: World, job: Job) => void): Verb {
  return (world, call) => {
    const label = call.argv[1]
    if (label === undefined) return misused()
    const job = callersDomain(world, call).jobs.get(label)
    if (!job) return { code: errno.noProcess, stdout: '', stderr: '' }
    act(world, job)
    return ok()
  }
}

const getenv: Verb = (world, call) => {
  const name = call.argv[1]
  if (name === undefined) return misused()
  const value = readMac(world.box).setenv[name]
  return ok(value === undefined ? '' : `${value}\n`)
}

const setenv: Verb = (world, call) => {
  const words = call.argv.slice(1)
  if (words.length === 0 || words.length % 2 !== 0) return misused()
  const added: Record<string, string> = {}
  for (let i = 0; i < words.length; i += 2) added[words[i] ?? ''] = words[i + 1] ?? ''
  const setenv = { ...readMac(world.box).setenv, ...added }
  world.box.save({ setenv })
  return ok()
}

const unsetenv: Verb = (world, call) => {
  const names = call.argv.slice(1)
  if (names.length === 0) return misused()
  const kept = Object.entries(readMac(world.box).setenv).filter(([name]) => !names.includes(name))
  world.box.save({ setenv: Object.fromEntries(kept) })
  return ok()
}

const error: Verb = (_, call) => {
  const words = call.argv.slice(1).filter((word) => word !== 'posix')
  const code = Number(words[0])
  if (words[0] === undefined || !Number.isInteger(code)) return misused()
  return ok(`${code}: ${errorText(code)}\n`)
}

const managername: Verb = (world, call) => {
  const names = { gui: 'Aqua', user: 'Background', system: 'System' }
  return ok(`${names[callersDomain(world, call).kind]}\n`)
}

const verbs: Record<string, Verb> = {
  bootstrap,
  bootout,
  load: legacyLoad,
  unload: legacyUnload,
  print,
  'print-disabled': printDisabledIn,
  enable: switchLabel(false),
  disable: switchLabel(true),
  kickstart,
  kill,
  start: legacyLabel((world, job) => schedule(world, job, 'non-ipc demand')),
  stop: legacyLabel(terminate),
  list,
  getenv,
  setenv,
  unsetenv,
  error,
  managername,
  managerpid: () => ok('1\n'),
  manageruid: (world, call) => ok(`${callersDomain(world, call).uid}\n`),
  help: () => ok(usage()),
}

/** Answers one call of launchctl; an unknown verb gets the usage and exit 64. */
export function answer(world: World, call: Call): Answer | Promise<Answer> {
  const name = call.argv[0] ?? ''
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (verb) return verb(world, call)
  return fail(errno.usage, `Unrecognized subcommand: ${name}`, usage().trimEnd())
}
