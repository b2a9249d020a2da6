import { type Answer, fail } from './answer.ts'
import { errno } from './errors.ts'
import { profile, readMac } from './mac.ts'
import type { Domain, Job, World } from './world.ts'

/** A domain target (`gui/501`) or, with a label, a service target (`gui/501/com.example.job`). */
export interface Target {
  kind: 'gui' | 'user' | 'system' | 'login' | 'pid' | 'session'
  id: number
  label?: string
}

/** Reads a target specifier; undefined when it has none of the known forms. */
export function parseTarget(word: string): Target | undefined {
  const parts = /^(?:(system)|(gui|user|login|pid|session)\/(\d+))(?:\/(.*))?$/.exec(word)
  if (!parts) return undefined
  const kind = (parts[1] ?? parts[2]) as Target['kind']
  const target: Target = { kind, id: Number(parts[3] ?? 0) }
  return parts[4] ? { ...target, label: parts[4] } : target
}

/** The refusal of a word that is no target, exit 64; a bare label gets a hint, as captured on macOS 26. */
export function badTarget(world: World, word: string): Answer {
  if (/^[\w-]+(\.[\w-]+)+$/.test(word)) {
    return fail(errno.usage, `Unrecognized target specifier, did you mean gui/${readMac(world.box).uid}/${word}`)
  }
  return fail(
    errno.usage,
    'Unrecognized target specifier.',
    'Please refer to `man launchctl` for explanation of the <domain-target> specifiers.',
  )
}

/** The domain of a target, when it exists now: `gui` only while the user has a desktop. */
export function findDomain(world: World, target: Target): Domain | undefined {
  const mac = readMac(world.box)
  const { gui, user, system } = world.domains
  if (target.kind === 'system') return system
  if (target.id !== mac.uid) return undefined
  if (target.kind === 'gui' || target.kind === 'login') return mac.desktop || gui.tearingDown ? gui : undefined
  return target.kind === 'user' ? user : undefined
}

/** The domain in which a caller without a target stands: that of its desktop, or of its ssh session. */
export function callersDomain(world: World, call: { ssh: boolean; root: boolean }): Domain {
  if (call.root) return world.domains.system
  return readMac(world.box).desktop && !call.ssh ? world.domains.gui : world.domains.user
}

function describe(target: Target): string {
  if (target.kind === 'system') return 'system'
  if (target.kind === 'gui') return `user gui: ${target.id}`
  return target.kind === 'user' ? `uid: ${target.id}` : `${target.kind}: ${target.id}`
}

/** macOS 26 dropped the line that macOS 15 says first. */
function preface(world: World): string[] {
  return profile(readMac(world.box)) === '15' ? ['Bad request.'] : []
}

/** Exit 112: no such domain. */
export function noDomain(world: World, target: Target): Answer {
  return fail(errno.noDomain, ...preface(world), `Could not find domain for ${describe(target)}`)
}

/** Exit 113: no such label in the domain. */
export function noService(world: World, target: Target): Answer {
  const line = `Could not find service "${target.label}" in domain for ${describe(target)}`
  return fail(errno.noService, ...preface(world), line)
}

/** The job that a service target names, or the answer that says why there is none. */
export function findJob(world: World, word: string): { job: Job } | { answer: Answer } {
  const target = parseTarget(word)
  if (!target?.label) return { answer: badTarget(world, word) }
  const domain = findDomain(world, target)
  if (!domain) return { answer: noDomain(world, target) }
  const job = domain.jobs.get(target.label)
  return job ? { job } : { answer: noService(world, target) }
}
