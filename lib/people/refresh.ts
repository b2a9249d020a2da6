import { mapText, parseMap } from '../haproxy/map-text.ts'
import { runningMap, setRunningMap } from '../haproxy/runtime.ts'
import type { Host, Look } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { places, platformOf } from '../platform/here.ts'
import { tailnetPeers } from '../platform/peers.ts'
import type { Settings } from '../site/settings.ts'
import { identifies } from '../site/settings.ts'
import { again, type Finding, missed, ok, type Step } from '../steps/step.ts'
import { identityLines, identityMaps, lifetime, ruleLines, withoutEnds } from './identities.ts'
import { ensureProbeWord, probeWord } from './own-probes.ts'
import { endOf } from './records.ts'

const fileOf = (look: Look, name: string): string => `${places(look).keyMaps}/${name}`

/** The rules in force: what was published from the settings, which may have been edited since. */
const rulesInForce = async (look: Look): Promise<Map<string, string>> =>
  parseMap((await look.read(fileOf(look, 'rules.map'))) ?? '')

/** Asks Tailscale who is who and tells the gateway: files first, then the running maps. False when Tailscale is not up: then everything stays as it is, until it is too old. Nothing to ask where no tailnet stands before the gateway. */
export async function refreshIdentities(host: Host): Promise<boolean> {
  if (platformOf(host).door) return true
  const peers = await tailnetPeers(host)
  if (!peers) return false
  const wanted = identityLines(peers, await rulesInForce(host))
  for (const name of identityMaps) {
    const text = mapText(wanted[name])
    if ((await host.read(fileOf(host, name))) !== text)
      await host.write(fileOf(host, name), text, 0o600, { flush: false })
    await setRunningMap(host, `keys/${name}`, wanted[name])
  }
  return true
}

/** HAProxy does not start without the files that its configuration names. */
export async function ensureIdentityFiles(host: Host): Promise<void> {
  await ensureProbeWord(host)
  for (const name of identityMaps)
    if ((await host.read(fileOf(host, name))) === undefined) await host.write(fileOf(host, name), '')
}

const later = `The observer refreshes it every 30 s: see what ${called('status')} says of it. \`${typed('apply')}\` refreshes it now, for 5 minutes.`

async function look(at: Look, settings: Settings): Promise<Finding> {
  const peers = await tailnetPeers(at)
  if (!peers) return missed('Tailscale does not answer', 'See `tailscale status`.')
  const wanted = identityLines(peers, ruleLines(settings))['people.map']
  const known = (await runningMap(at, 'keys/people.map')) ?? parseMap((await at.read(fileOf(at, 'people.map'))) ?? '')
  if (mapText(withoutEnds(known)) !== mapText(withoutEnds(wanted)))
    return missed('the gateway has another list than Tailscale and the settings give', later)
  const age = Math.floor(Date.now() / 1000) + lifetime - Math.min(...[...known.values()].map(endOf))
  const saw = `${known.size} addresses have a rule`
  if (known.size === 0) return ok('no device has a rule')
  if (age < -10) return missed(`${saw}; from ${-age} s ahead: the clock was set back`, later)
  return age < lifetime
    ? ok(`${saw}; ${Math.max(age, 0)} s old`)
    : missed(`${saw}; ${age} s old, over 5 minutes`, later)
}

/** Without rules it is for the log alone, and may be old. */
const logged = async (at: Look): Promise<Finding> =>
  platformOf(at).door || (await at.read(fileOf(at, 'devices.map')))
    ? ok('for the log alone: no rule of people is in force')
    : missed('the gateway knows no device by name yet', again)

/** Who is who, where `people` has rules; also looked at by status.ts, since a list that nobody refreshes lets nobody in. */
export function identityStep(settings: Settings): Step {
  return {
    id: 'haproxy.identities',
    title: 'The gateway knows who is who on the tailnet',
    needs: ['tailscale.up'],
    async check(at) {
      if ((await probeWord(at)) === undefined)
        return missed('the gateway does not know its own probes yet', `Run ${called('install')} again.`)
      return identifies(settings) ? look(at, settings) : logged(at)
    },
    async apply(host) {
      await ensureIdentityFiles(host)
      await refreshIdentities(host)
    },
  }
}
