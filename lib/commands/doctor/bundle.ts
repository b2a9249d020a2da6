import { isIP } from 'node:net'
import { partChecks } from '../../checks/index.ts'
import { exitCodes, Stop } from '../../host/command.ts'
import { type Host, realHost } from '../../host/host.ts'
import { asOwn } from '../../people/own-probes.ts'
import { places } from '../../platform/here.ts'
import { ownNames } from '../../platform/own-names.ts'
import { type Own, redact } from '../../platform/redact.ts'
import type { Setup } from '../../site/setup.ts'
import { observeAll } from '../../steps/step.ts'
import type { Ui } from '../cli.ts'
import { prepare } from '../prepare.ts'
import { wrapped } from '../screens/wrap.ts'
import { contents } from './bundle-contents.ts'

/** rop doctor --bundle: one archive for a bug report, without what tells who, where or by which key. Nothing is sent. */
export async function bundle(ui: Ui, given?: string): Promise<number> {
  const host = asOwn(realHost(ui.note, ui.waiting))
  const file = given ?? `${named(new Date())}.tar.gz`
  if (await host.stat(file))
    throw new Stop(exitCodes.precondition, `${file} is there already; move it away, or name another file.`)
  const prepared = await prepare(host, ui)
  const ready = ui.busy('looking at everything')
  const results = await observeAll(partChecks(prepared.machine, prepared.setup), host)
  const found = await contents(host, prepared, results)
  const own = await allNames(host, prepared.setup, found)
  const files = Object.fromEntries(Object.entries(found).map(([name, text]) => [name, cleaned(text, own)]))
  await pack(host, file, { ...files, 'READ-ME.txt': readMe(Object.keys(files)) }).finally(ready)
  if (ui.json) process.stdout.write(`${JSON.stringify({ file, files: Object.keys(files) }, null, 2)}\n`)
  else ui.say(said(file, Object.keys(files)))
  return exitCodes.done
}

const named = (at: Date): string =>
  `remote-ollama-proxy-bundle-${at.toISOString().slice(0, 16).replaceAll(/[:T]/g, '-')}`

/** Addresses of other servers may have a word in them that lets somebody in. */
const foreign = /\b(https?:\/\/)(?!(127\.0\.0\.1|localhost|\[::1\])[:/])[^\s"'<>)]+/g

const cleaned = (text: string, own: Own): string => redact(text.replaceAll(foreign, '$1URL'), own)

/** Who has a key or a rule, who had one while the logs were written, and what the settings name. */
async function allNames(host: Host, { settings, registry }: Setup, found: Record<string, string>): Promise<Own> {
  const own = await ownNames(host)
  const days = await host.list(places(host).usage)
  const used = await Promise.all(days.map(async (day) => (await host.read(`${places(host).usage}/${day}`)) ?? ''))
  const logged = Object.values(found).flatMap((text) =>
    [...text.matchAll(/"(?:who|login|device)":"([^"]+)"/g)].map(([, name = '']) => name),
  )
  const people = [...Object.keys(registry.keys), ...Object.keys(settings.people), ...used.flatMap(whoIn), ...logged]
  const hosts = [
    ...settings.hosts,
    ...settings.origins.map((origin) => origin.replace(/^\w+:\/\//, '').split(':')[0] ?? ''),
  ]
  const names = [...own.names, ...people, ...people.map((name) => name.replace(/^(device|tag|group):/, '')), ...hosts]
  return {
    home: own.home,
    names: [...new Set(names)].filter((name) => name.length > 0 && name !== '-' && isIP(name) === 0),
    secrets: settings.alerts.webhook ? [settings.alerts.webhook] : [],
    known: new Map(),
  }
}

/** Whose use a day's file counts. */
function whoIn(text: string): string[] {
  try {
    const { who = {}, days = {} } = JSON.parse(text) as { who?: object; days?: Record<string, { who?: object }> }
    return [...Object.keys(who), ...Object.values(days).flatMap((day) => Object.keys(day.who ?? {}))]
  } catch {
    return []
  }
}

/** The archive names no owner, and is for its own alone. */
async function pack(host: Host, file: string, files: Record<string, string>): Promise<void> {
  const folder = `${places(host).state}/bundle`
  const inside = 'remote-ollama-proxy-bundle'
  try {
    for (const [name, text] of Object.entries(files)) await host.write(`${folder}/${inside}/${name}`, text, 0o600)
    const words = ['tar', '--numeric-owner', '-czf', file, '-C', folder, inside]
    await host
      .run(['sh', '-c', 'umask 077; exec "$@"', 'sh', ...words], { env: { COPYFILE_DISABLE: '1' } })
      .catch((error: Error) => {
        throw new Stop(exitCodes.failed, `The archive ${file} could not be written: ${error.message}`)
      })
  } finally {
    await host.remove(folder)
  }
}

const replaced =
  'Replaced: API keys and their hashes, names of people, keys, devices and the tailnet, logins, addresses, home folders, notes and foreign URLs; questions and answers stand in no log.'

const readMe = (names: string[]): string =>
  `What this machine says of itself, for a bug report of remote-ollama-proxy.\n\n${wrapped(replaced, 78)}\n\n${names.map((name) => `  ${name}\n`).join('')}`

const said = (file: string, names: string[]): string =>
  [
    `Written: ${file} (${names.length} files; nothing was sent).`,
    'In it: settings, haproxy.cfg, job files, results of checks, versions, what launchd and HAProxy say, and the last lines of logs.',
    replaced,
    `Look into it before you send it (tar -xzf ${file}): it is text.`,
  ].join('\n')
