import { resolve } from 'node:path'
import { type Answer, type Call, fail, failed, ok } from './answer.ts'
import { isDisabled, setDisabled } from './disabled.ts'
import { errno } from './errors.ts'
import { majorVersion, profile, readMac, takeOne } from './mac.ts'
import { isRefusal, type JobSpec, type Refusal, readJob } from './plist.ts'
import { loadJob, removeJob } from './supervise.ts'
import { badTarget, callersDomain, findDomain, parseTarget } from './target.ts'
import { type Domain, domainName, type World, when } from './world.ts'

const RICHER = 'Try re-running the command as root for richer errors.'

/** Who may own a plist: the user, root (as in /Library), and whoever the box runs as. */
export function owners(world: World): number[] {
  return [0, readMac(world.box).uid, process.getuid?.() ?? 0]
}

/** Whether a job may live in a domain. Source: launchd.plist(5), LimitLoadToSessionType. */
export function fitsSession(domain: Domain, spec: JobSpec): boolean {
  if (domain.kind === 'system') return true
  return spec.sessionTypes.includes(domain.kind === 'gui' ? 'Aqua' : 'Background')
}

/** Why launchd would not take this job into this domain now, apart from the label being there. */
export function policyAgainst(world: World, domain: Domain, spec: JobSpec): Refusal | undefined {
  const { launchd } = readMac(world.box)
  if (!fitsSession(domain, spec))
    return { errno: errno.wrongSession, reason: 'Service cannot load in requested session' }
  if (launchd.btmBlocked?.includes(spec.label)) return { errno: errno.backgroundPolicy, reason: 'BTM policy' }
  if (isDisabled(world.box, spec.label, spec.disabled)) return { errno: errno.disabled, reason: 'Service is disabled' }
  return undefined
}

function load(world: World, domain: Domain, path: string): Refusal | undefined {
  if (domain.tearingDown) return { errno: errno.domainTearingDown, reason: 'Domain is tearing down' }
  const spec = readJob(path, owners(world))
  if (isRefusal(spec)) return spec
  const against = policyAgainst(world, domain, spec)
  if (against) return against
  if (domain.jobs.has(spec.label)) return { errno: errno.already, reason: 'Operation already in progress' }
  if (takeOne(world.box, 'transientBootstrapFailures'))
    return { errno: errno.inputOutput, reason: 'Input/output error' }
  loadJob(world, domain, spec)
  return undefined
}

/** Loads one plist; a refusal is written to launchd's log with its true number, whatever launchctl shows. */
export function loadPath(world: World, domain: Domain, path: string): Refusal | undefined {
  const refusal = load(world, domain, path)
  if (refusal)
    world.log(domainName(domain), `Caller attempted to bootstrap ${path}: ${refusal.errno}: ${refusal.reason}`)
  return refusal
}

/** launchctl hides most reasons from a caller who is not root behind a 5. */
function shownCode(world: World, call: Call, refusal: Refusal): number {
  const { launchd } = readMac(world.box)
  if (refusal.errno === errno.already) return launchd.alreadyLoadedCode ?? errno.inputOutput
  if (refusal.errno === errno.disabled) return launchd.disabledCode ?? errno.inputOutput
  const open: number[] = [errno.wrongSession, errno.domainTearingDown]
  return call.root || open.includes(refusal.errno) ? refusal.errno : errno.inputOutput
}

function bootstrapFailed(world: World, call: Call, path: string, refusal: Refusal): Answer {
  const code = shownCode(world, call, refusal)
  const answer = failed('Bootstrap', code, ...(code === errno.inputOutput ? [RICHER] : []))
  if (code === errno.exists) answer.stderr = `${path}: service already bootstrapped\n${answer.stderr}`
  return answer
}

function joined(answers: Answer[]): Answer {
  const bad = answers.filter((answer) => answer.code !== 0)
  const code = bad.length > 1 ? errno.many : (bad[0]?.code ?? 0)
  return { code, stdout: '', stderr: bad.map((answer) => answer.stderr).join('') }
}

/** `launchctl bootstrap DOMAIN PATH…` */
export function bootstrap(world: World, call: Call): Answer {
  const [word, ...paths] = call.argv.slice(1)
  if (!word) return fail(errno.usage, 'Usage: launchctl bootstrap <domain-target> [service-path, service-path2, ...]')
  const target = parseTarget(word)
  if (!target || target.label) return badTarget(world, word)
  const domain = findDomain(world, target)
  if (!domain) return failed('Bootstrap', errno.wrongDomain)
  if (domain.kind === 'system' && !call.root) return failed('Bootstrap', errno.inputOutput, RICHER)
  const answers = paths.map((path) => {
    const full = resolve(call.cwd, path)
    const refusal = loadPath(world, domain, full)
    return refusal ? bootstrapFailed(world, call, full, refusal) : ok()
  })
  return joined(answers)
}

/** Before macOS 12 a bootout that had to wait for a process said so with 36, although it worked. */
function bootedOut(world: World, waits: boolean): Answer {
  return waits && majorVersion(readMac(world.box)) < 12 ? failed('Boot-out', errno.inProgress) : ok()
}

function bootOutLabel(world: World, domain: Domain, label: string): Answer {
  const job = domain.jobs.get(label)
  if (!job) return failed('Boot-out', errno.noProcess)
  return bootedOut(world, removeJob(world, job))
}

function labelIn(world: World, path: string): string | undefined {
  const spec = readJob(path, owners(world))
  return isRefusal(spec) ? undefined : spec.label
}

/** The label that a plist is loaded under, be the file still there or not. */
function labelOfPath(world: World, domain: Domain, path: string): string | undefined {
  const loaded = [...domain.jobs.values()].find((job) => job.spec.path === path)
  return loaded?.spec.label ?? labelIn(world, path)
}

function bootOutPath(world: World, domain: Domain, path: string): Answer {
  const label = labelOfPath(world, domain, path)
  return label ? bootOutLabel(world, domain, label) : failed('Boot-out', errno.inputOutput, RICHER)
}

async function bootOutAndWait(world: World, domain: Domain, label: string): Promise<Answer> {
  const job = domain.jobs.get(label)
  const answer = bootOutLabel(world, domain, label)
  if (job) await when(world, () => domain.jobs.get(label) !== job)
  return answer
}

/** Ends every job of a domain; resolves when the last process is dead. Meanwhile nothing can be loaded into it. */
export async function tearDown(world: World, domain: Domain): Promise<void> {
  domain.tearingDown = true
  for (const job of [...domain.jobs.values()]) removeJob(world, job)
  await when(world, () => domain.jobs.size === 0)
  domain.tearingDown = false
}

/** `launchctl bootout SERVICE` or `bootout DOMAIN PATH…`: answers before the process is dead. */
export async function bootout(world: World, call: Call): Promise<Answer> {
  const words = call.argv.slice(1)
  const wait = words.includes('--wait')
  // macOS 15 takes the flag for a target and stops nothing.
  if (wait && profile(readMac(world.box)) === '15') return fail(errno.usage, 'Unrecognized target specifier.')
  const [word, ...paths] = words.filter((one) => one !== '--wait')
  if (!word)
    return fail(errno.usage, 'Usage: launchctl bootout <domain-target> [service-path1, ...] | <service-target>')
  const target = parseTarget(word)
  if (!target) return badTarget(world, word)
  const domain = findDomain(world, target)
  if (!domain) return failed('Boot-out', errno.wrongDomain)
  if (target.label) {
    return wait ? bootOutAndWait(world, domain, target.label) : bootOutLabel(world, domain, target.label)
  }
  if (paths.length === 0) return failed('Boot-out', errno.permission)
  return joined(paths.map((path) => bootOutPath(world, domain, resolve(call.cwd, path))))
}

function legacyWords(call: Call): { paths: string[]; write: boolean } {
  const words = call.argv.slice(1)
  const paths = words.filter((word) => !word.startsWith('-')).map((path) => resolve(call.cwd, path))
  return { paths, write: words.some((word) => /^-\w*w/.test(word)) }
}

function legacyLoadPath(world: World, domain: Domain, path: string, write: boolean): string {
  const label = labelIn(world, path)
  if (write && label) setDisabled(world.box, label, false)
  const refusal = loadPath(world, domain, path)
  if (!refusal) return ''
  if (refusal.errno === errno.badOwner) return `${path}: Path had bad ownership/permissions\n`
  return 'Load failed: 5: Input/output error\nTry running `launchctl bootstrap` as root for richer errors.\n'
}

/** `launchctl load [-w] PATH…`, the legacy verb: into the caller's own domain, and 0 even when it failed. */
export function legacyLoad(world: World, call: Call): Answer {
  const { paths, write } = legacyWords(call)
  if (paths.length === 0) return fail(errno.usage, 'Usage: launchctl load <service-path, service-path2, ...>')
  const domain = callersDomain(world, call)
  return { code: 0, stdout: '', stderr: paths.map((path) => legacyLoadPath(world, domain, path, write)).join('') }
}

function legacyUnloadPath(world: World, domain: Domain, path: string, write: boolean): string {
  const label = labelOfPath(world, domain, path)
  if (write && label) setDisabled(world.box, label, true)
  if (label && bootOutLabel(world, domain, label).code !== errno.noProcess) return ''
  return 'Unload failed: 5: Input/output error\nTry running `launchctl bootout` as root for richer errors.\n'
}

/** `launchctl unload [-w] PATH…`, the legacy verb; `-w` also disables the label. */
export function legacyUnload(world: World, call: Call): Answer {
  const { paths, write } = legacyWords(call)
  if (paths.length === 0) return fail(errno.usage, 'Usage: launchctl unload <service-path, service-path2, ...>')
  const domain = callersDomain(world, call)
  return { code: 0, stdout: '', stderr: paths.map((path) => legacyUnloadPath(world, domain, path, write)).join('') }
}
