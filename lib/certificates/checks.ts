import type { Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import type { Settings } from '../site/settings.ts'
import { advice, type Check, type Finding, missed, ok } from '../steps/step.ts'
import { covers } from './judge.ts'
import { isFromRoot } from './own-ca.ts'
import type { Facts } from './pair.ts'
import { isPlaceholder, left, type Memory, memories, sourceOf } from './renew.ts'
import { heldFor, type Shown, shownFor, written } from './served.ts'

/** How a name stands: what is kept, what each door shows, and why the last try brought nothing. */
export interface Standing {
  name: string
  held?: Facts
  shown: Shown[]
  trial?: Memory['trial']
}

/** Looks at it from outside: a file says nothing of what is served. */
export async function standingOf(look: Look, name: string): Promise<Standing> {
  const [held, shown, known] = await Promise.all([heldFor(look, name), shownFor(look, name), memories(look)])
  return { name, held, shown, trial: known[name]?.trial }
}

const day = 86_400_000

/** The time that is left, in the largest unit that says something. */
export function remaining({ until }: Pick<Facts, 'until'>, now = Date.now()): string {
  const ms = until.getTime() - now
  if (ms <= 0) return 'none'
  const [amount, unit] =
    ms >= 2 * day ? [ms / day, 'day'] : ms >= 7_200_000 ? [ms / 3_600_000, 'hour'] : [ms / 60_000, 'minute']
  const whole = Math.floor(amount)
  return `${whole} ${unit}${whole === 1 ? '' : 's'}`
}

/** The share of its life at which somebody is told: a third where nothing renews it, a little later where something was to. */
const late = { files: 1 / 3, renewed: 0.3 } as const

const renewIt = (name: string): string => typed(`certificates renew ${name}`)

/** What there is to say of it; the gravest first. */
export function findingOf({ name, held, shown, trial }: Standing, renews: boolean, now = Date.now()): Finding {
  const why = trial ? ` (${trial.fault})` : ''
  if (!held) return missed(`${name} has no certificate yet${why}`, renewIt(name))
  if (held.until.getTime() <= now)
    return missed(
      `the certificate for ${name} expired on ${held.until.toISOString().slice(0, 10)}${why}`,
      renewIt(name),
    )
  if (!covers(held, name))
    return missed(`the certificate for ${name} is for ${held.names.join(', ')}${why}`, renewIt(name))
  const others = shown.filter(({ facts }) => facts && facts.serial !== held.serial)
  if (others.length > 0) {
    const seen = others.map(({ door, facts }) => `${written(door)} serves ${facts?.serial}`)
    return missed(`the certificate ${held.serial} is on disk, and ${seen.join(', ')}`, renewIt(name))
  }
  const dark = shown.filter(({ facts, elsewhere }) => !facts && !elsewhere)
  if (dark.length > 0)
    return missed(dark.map(({ door, why }) => `${written(door)} shows none (${why})`).join(', '), typed('apply'))
  if (isPlaceholder(held)) return advice(`a placeholder is served, which no client trusts${why}`, renewIt(name))
  const share = left(held, now)
  if (trial || share <= (renews ? late.renewed : late.files))
    return advice(
      trial
        ? `${remaining(held, now)} left, and the last try brought no new one: ${trial.fault}`
        : `${remaining(held, now)} left, and it is not renewed yet`,
      renews ? renewIt(name) : 'Renew its files: what lies there is taken within a minute.',
    )
  const at = shown
    .map(({ door, elsewhere }) => `${written(door)}${elsewhere ? ' (which this gateway does not have now)' : ''}`)
    .join(', ')
  return ok(`${remaining(held, now)} left, serial ${held.serial}${at ? `, on ${at}` : ''}`)
}

/** Whether something of ours renews it. */
export const isRenewed = ({ tls }: Pick<Settings, 'tls'>, name: string): boolean => typeof tls[name] === 'string'

/** What is served for each name, and for how long. */
export const servedChecks = (settings: Settings): Check[] =>
  Object.keys(settings.tls).map((name) => ({
    id: `certificates.served.${name}`,
    title: `${name} is served with its certificate, which is renewed in time`,
    check: async (look) => findingOf(await standingOf(look, name), isRenewed(settings, name)),
  }))

/** Somebody must renew them. */
export const renewerCheck = ({ tls, observer }: Settings): Check[] =>
  Object.keys(tls).length === 0
    ? []
    : [
        {
          id: 'certificates.renewer',
          title: 'Certificates are renewed by themselves',
          check: async () =>
            observer === 'on'
              ? ok('by the observer, when a third of their life is left')
              : advice(
                  'the observer is off, so nobody does',
                  `observer: on in settings.yaml, or every week: ${typed('certificates renew')}`,
                ),
        },
      ]

/** The step's view: what is kept is enough to begin with. */
export async function keptFinding(look: Look, settings: Settings, name: string, now = Date.now()): Promise<Finding> {
  const held = await heldFor(look, name)
  if (!held) return missed(`${name} has no certificate yet`, typed('apply'))
  if (held.until.getTime() <= now) return missed(`the certificate for ${name} has expired`, typed('apply'))
  const from = (await memories(look))[name]?.from
  const wanted = sourceOf(settings, name)
  if (from !== undefined && from !== wanted)
    return missed(`the certificate for ${name} came from ${from}, and ${wanted} is wanted`, typed('apply'))
  if (wanted === 'own-ca' && !(await isFromRoot(look, held)))
    return missed(`the certificate for ${name} is not from the root that this machine has now`, typed('apply'))
  return covers(held, name)
    ? ok(`serial ${held.serial}, ${remaining(held, now)} left`)
    : missed(`the certificate for ${name} is for ${held.names.join(', ')}`, typed('apply'))
}
