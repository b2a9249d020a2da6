import { z } from 'zod'
import { mapText, parseMap } from '../haproxy/map-text.ts'
import { runningMap, setRunningMaps } from '../haproxy/runtime.ts'
import type { Host, Look } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import type { Registry } from '../site/limits.ts'
import type { Settings } from '../site/settings.ts'
import { asksCertificates, asksKeys, counting } from '../site/settings.ts'
import { tilde } from '../steps/resources.ts'
import { advice, again, type Finding, missed, ok, type Step } from '../steps/step.ts'
import { isWritten, readRegistry } from './given.ts'
import { ruleLines } from './identities.ts'
import { catalogue, type Listed, listedOf, listMaps, meaningOf, type Telling, tooLong } from './lists.ts'
import { budgetLines, certificateLines, endOf, keyLines, probing } from './records.ts'
import { ensureIdentityFiles } from './refresh.ts'
import { nobodyIn, saveRegistry } from './registry.ts'

const keysMap = 'keys.map'
const spentMap = 'spent.map'
/** Who has which list by the settings that are in force, for those who renew the lists later; settings.yaml may be ahead. */
const inForce = 'lists.json'
const listNames = ['models.map', 'list-v1.map', 'list-api.map'] as const
type ListName = (typeof listNames)[number]
/** Which of them HAProxy reads: where the observer runs it is asked for the lists themselves. */
const readBy = ({ observer }: Pick<Settings, 'observer'>): readonly ListName[] =>
  observer === 'on' ? ['models.map'] : listNames

/** All maps that the keys and the rules of `people` give, by file name. The lists of models are made from what Ollama has. */
async function wantedMaps(
  look: Look,
  registry: Registry,
  settings: Settings,
): Promise<Record<string, Map<string, string>>> {
  const listed = listedOf(registry, settings)
  const known = listed.length > 0 ? await catalogue(look, settings) : undefined
  const lists = listMaps(listed, known, await listTexts(look))
  return {
    [keysMap]: keyLines(registry, settings.limits),
    ...(asksCertificates(settings) ? { 'certificates.map': certificateLines(registry, settings.limits) } : {}),
    'budgets.map': budgetLines(registry, settings),
    'rules.map': ruleLines(settings),
    ...Object.fromEntries(readBy(settings).map((name) => [name, lists[name]])),
  }
}

/** The lists as they are in the files. */
async function listTexts(look: Look): Promise<Record<ListName, string>> {
  const text = async (name: ListName) => (await look.read(fileOf(look, name))) ?? ''
  return {
    'models.map': await text('models.map'),
    'list-v1.map': await text('list-v1.map'),
    'list-api.map': await text('list-api.map'),
  }
}

const fileOf = (look: Look, name: string): string => `${places(look).keyMaps}/${name}`

/** File first, then the running worker: what dies in between is healed by the next run, and a reload reads the file. */
export async function publish(host: Host, registry: Registry, settings: Settings): Promise<void> {
  await ensureIdentityFiles(host)
  await host.write(fileOf(host, inForce), `${JSON.stringify(listedOf(registry, settings))}\n`)
  const wanted = Object.entries(await wantedMaps(host, registry, settings))
  // All files before the first word to a worker: one that does not answer keeps nothing from those who come.
  for (const [name, lines] of wanted) await host.write(fileOf(host, name), mapText(lines))
  // What is in it is the observer's to say; HAProxy only starts when it is there.
  if ((await host.read(fileOf(host, spentMap))) === undefined) await host.write(fileOf(host, spentMap), '')
  await setRunningMaps(
    host,
    loadedOf(wanted),
    (_key, value) => value.startsWith(probing) && endOf(value) > Date.now() / 1000,
  )
}

/** Maps by the end of their path, as a worker has them. */
const loadedOf = (maps: [string, Map<string, string>][]): [string, Map<string, string>][] =>
  maps.map(([name, lines]) => [`keys/${name}`, lines])

/** Keeps a changed registry, and has it hold at the next request. */
export async function keep(host: Host, registry: Registry, settings: Settings): Promise<void> {
  await saveRegistry(host, registry)
  await publish(host, registry, settings)
}

/** Makes the lists of models anew, where somebody has one in force: what is installed may have changed. Another run's new keys are not overwritten. */
export async function renewLists(host: Host, settings: Telling & Pick<Settings, 'observer'>): Promise<void> {
  for (let tries = 0; tries < 5; tries += 1) {
    const text = (await host.read(fileOf(host, inForce))) ?? '[]'
    const listed = readListed(text)
    if (listed.length === 0) return
    const wanted = listMaps(listed, await catalogue(host, settings), await listTexts(host))
    await renew(
      host,
      readBy(settings).map((name) => [name, wanted[name]]),
    )
    if ((await host.read(fileOf(host, inForce))) === text) return
  }
}

/** Whose list of models is too long for a gateway that has it in a map, since no observer runs; undefined when nobody's is, or Ollama does not answer. */
export async function tooLongFor(look: Look, registry: Registry, settings: Settings): Promise<string | undefined> {
  const listed = counting(settings) && settings.observer === 'off' ? listedOf(registry, settings) : []
  const known = listed.length > 0 ? await catalogue(look, settings) : undefined
  return known && tooLong(listed, known)
}

/** The lists of models that are in force. */
export const listedNow = async (look: Look): Promise<Listed[]> =>
  readListed((await look.read(fileOf(look, inForce))) ?? '[]')

function readListed(text: string): Listed[] {
  try {
    return z.array(z.object({ name: z.string(), models: z.array(z.string()) })).parse(JSON.parse(text))
  } catch {
    return []
  }
}

async function renew(host: Host, maps: [string, Map<string, string>][]): Promise<void> {
  for (const [name, lines] of maps)
    if ((await host.read(fileOf(host, name))) !== mapText(lines)) await host.write(fileOf(host, name), mapText(lines))
  await setRunningMaps(host, loadedOf(maps))
}

const withoutProbe = (lines: Map<string, string>): Map<string, string> =>
  new Map([...lines].filter(([, value]) => !value.startsWith(probing)))

/** A map's text as it is compared: lists of models by what they mean. */
const compared = (name: string, lines: Map<string, string>): string =>
  mapText(name.startsWith('list-') ? new Map([...lines].map(([who, list]) => [who, meaningOf(list)])) : lines)

async function fault(at: Look, name: string, wanted: Map<string, string>): Promise<Finding | undefined> {
  const file = fileOf(at, name)
  const text = await at.read(file)
  const same = text !== undefined && compared(name, parseMap(text)) === compared(name, wanted)
  if (!same) return missed(`${tilde(at, file)} is not what the keys give`, again)
  if ((await at.stat(file))?.mode !== 0o600)
    return missed(`${tilde(at, file)} has not the mode 600: for its owner alone`, again)
  const running = await runningMap(at, `keys/${name}`)
  if (running && compared(name, withoutProbe(running)) !== compared(name, wanted))
    return missed(`the running gateway knows another ${name} than the file`, again)
  return undefined
}

const openToOthers = async (at: Look): Promise<boolean> => (((await at.stat(places(at).keys))?.mode ?? 0) & 0o077) !== 0

async function look(at: Look, registry: Registry, settings: Settings): Promise<Finding> {
  if (!(await isWritten(at, registry))) return missed('the owner’s file of keys has changed', again)
  if (await openToOthers(at)) return missed(`${tilde(at, places(at).keys)} can be read by others`, again)
  if (!counting(settings)) return ok('none is asked for (access: tailnet)')
  for (const [name, lines] of Object.entries(await wantedMaps(at, registry, settings))) {
    const found = await fault(at, name, lines)
    if (found) return found
  }
  if ((await at.read(fileOf(at, spentMap))) === undefined)
    return missed(`${tilde(at, fileOf(at, spentMap))} is missing`, again)
  const nobody = nobodyIn(registry, settings)
  if (nobody) return advice(nobody, `${typed('keys')} add NAME`)
  return ok(!asksKeys(settings) ? 'none is asked for (access: tailnet)' : `${Object.keys(registry.keys).length} keys`)
}

/** The keys and rules as HAProxy reads them; must be there before a configuration that names them. */
export function keyStep(settings: Settings): Step {
  return {
    id: 'haproxy.keys',
    ahead: true,
    title: `The gateway knows the API keys that ${called('keys')} made, and no other`,
    check: async (at) => look(at, await readRegistry(at), settings),
    async apply(host) {
      const registry = await readRegistry(host)
      if ((await openToOthers(host)) || !(await isWritten(host, registry))) await saveRegistry(host, registry)
      await publish(host, registry, settings)
    },
  }
}
