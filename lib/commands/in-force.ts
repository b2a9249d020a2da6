import { render } from '../gateway/config.ts'
import { demandsOf, speedsOf } from '../gateway/demands.ts'
import { type Need, tooOldFor } from '../gateway/needs.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import { apartNeeds, blended } from '../gateway/policies/timeouts.ts'
import { swap } from '../haproxy/reload.ts'
import { runningFingerprint, workerInfo } from '../haproxy/runtime.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { saveRegistry } from '../people/registry.ts'
import { publish, tooLongFor } from '../people/store.ts'
import { places, platformOf } from '../platform/here.ts'
import { atLeast, versionNumbers } from '../platform/versions.ts'
import { fingerprintOf } from '../site/configuration.ts'
import type { Limits, Registry } from '../site/limits.ts'
import type { Machine } from '../site/machine.ts'
import { asksKeys } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { currentReceipt } from '../steps/receipt.ts'
import { installed } from './prepare.ts'
import { complain } from './screens/wrap.ts'

/** What is not as it should be while a reload is wanting. */
export const pending = `until ${called('apply')} is run keys with a model list may be refused, and those with bytes a second have no such limit`

/** Each is a filter that every answer passes: 16 cost nothing that could be measured, 100 a tenth of a millisecond. */
const mostSpeeds = 16

/** Throws `Stop` (exit 2) when keys get too many different numbers of bytes a second. */
export function fewSpeeds(registry: Registry, before: Registry): void {
  const count = speedsOf(registry).length
  if (count > mostSpeeds && count > speedsOf(before).length)
    throw new Stop(
      exitCodes.usage,
      `Keys may have ${mostSpeeds} different numbers of bytes a second in all (--per-second); use one that another key has. Nothing was changed.`,
    )
}

/** A limit that HAProxy does not know would be none. The program is asked, and the worker, which may still be of an older one; where none is installed yet, install.ts asks. */
export async function newEnough(
  look: Look,
  machine: Pick<Machine, 'system' | 'packager'>,
  { programs }: Setup,
  needs: Need[],
): Promise<void> {
  if (needs.length === 0) return
  for (const version of await versions(look, programs)) {
    const fault = tooOldFor(version, needs)
    if (fault)
      throw new Stop(
        exitCodes.precondition,
        `HAProxy ${version} is ${fault}; upgrade it (${platformOf(machine).packages.typed(machine.packager, 'upgrade', 'haproxy')}) and run ${called('install')}. Nothing was changed.`,
      )
  }
}

/** Of the program, and of the worker, where there are any. */
async function versions(look: Look, { haproxy }: Setup['programs']): Promise<string[]> {
  const said = (await look.query([haproxy, '-v'])).stdout
  return [/version (\S+)/i.exec(said)?.[1], (await workerInfo(look))?.version].filter((text) => text !== undefined)
}

/** What the limits of a key's own do not do under an old HAProxy; nothing where they do, or no key is asked for. */
export async function notApart(
  look: Look,
  { settings, programs }: Setup,
  keys: Record<string, Limits>,
): Promise<string[]> {
  const whose = asksKeys(settings) ? blended(settings, { keys }).filter((text) => text.includes(' for the key ')) : []
  if (whose.length === 0) return []
  const old = (await versions(look, programs)).find((text) => !atLeast(versionNumbers(text), [...apartNeeds]))
  const what = `HAProxy ${old} has one limit for the time to the first byte and for silence after it`
  return old ? whose.map((one) => `${what}: ${one}.`) : []
}

/** Throws `Stop` (exit 3) when somebody gets a list of models that is too long for a gateway without the observer. */
export async function listsFit(look: Look, { settings }: Setup, registry: Registry, before: Registry): Promise<void> {
  const who = await tooLongFor(look, registry, settings)
  if (who !== undefined && who !== (await tooLongFor(look, before, settings)))
    throw new Stop(
      exitCodes.precondition,
      `${who} may use so many models that the gateway cannot know the list whole without the observer; set observer: on in settings.yaml, or name fewer models. Nothing was changed.`,
    )
}

/** Tells the gateway. What cannot be written for HAProxy is not kept either: a key that was never shown would be nobody's. False when it is kept, but not in force everywhere, which is said. */
export async function putInForce(
  host: Host,
  { settings }: Setup,
  registry: Registry,
  before: Registry,
): Promise<boolean> {
  return publish(host, registry, settings).then(
    () => true,
    async (error: Error) => {
      if (error instanceof Stop && error.code === exitCodes.partly) {
        complain(`The change is kept, but ${error.message}`)
        return false
      }
      await saveRegistry(host, before)
      // What was written of it already is taken back as far as can be; status.ts names what stays.
      await publish(host, before, settings).catch(() => {})
      throw error
    },
  )
}

export async function answered(host: Host, { mode, settings }: Setup): Promise<number> {
  if (mode !== 'proxy' || !asksKeys(settings) || !(await installed(host))) return exitCodes.done
  if (await runningFingerprint(host)) return exitCodes.done
  complain(
    `The change is kept, and holds as soon as the gateway answers, which it does not now; see ${typed('status')}.`,
  )
  return exitCodes.partly
}

/** What stands in HAProxy's rules and buffers (the first list of models, a new number of bytes a second) needs a reload, unless other changes wait for apply.ts. */
export async function reloadFor(host: Host, machine: Machine, setup: Setup, before: Registry): Promise<number> {
  if (!asksKeys(setup.settings) || !(await installed(host))) return exitCodes.done
  const gateway = gatewayOf(machine, setup)
  const wanted = render(gateway, setup.templates)
  const there = fingerprintOf((await host.read(places(machine).config)) ?? '')
  if (there === wanted.fingerprint) return exitCodes.done
  const { listed, speeds } = demandsOf(setup.registry, setup.settings)
  // As it was before, or as a reload that failed has left it.
  const earlier = [demandsOf(before, setup.settings), { listed: !listed, speeds }, { listed, speeds: [] }]
  if (!earlier.some((one) => render({ ...gateway, ...one }, setup.templates).fingerprint === there)) {
    if (!listed && speeds.length === 0) return exitCodes.done
    complain(`The change is kept; but other changes of settings.yaml are not in effect, and ${pending}.`)
    return exitCodes.partly
  }
  await swap(host, { receipt: await currentReceipt(host), configuration: wanted, haproxy: setup.programs.haproxy })
  return exitCodes.done
}
