import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { backupText, parseBackup, present, rememberBackup } from '../people/backup.ts'
import { readRegistry } from '../people/given.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import { tilde } from '../steps/resources.ts'
import { ownVersion } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'

/** backup: settings, keys and people in one file, for this machine or another one. */
export async function backup(ui: Ui, flags: Flags, names: string[]): Promise<number> {
  const [name = ''] = names
  if (names.length !== 1 || name === '')
    throw new Stop(exitCodes.usage, `${called('backup')} takes the one file to write: ${typed('backup')} FILE`)
  const host = realHost(ui.note, ui.waiting)
  const at = places(host)
  if (!(await host.stat(at.settings)) && !(await host.stat(at.keys)))
    throw new Stop(
      exitCodes.precondition,
      `There is nothing to save here yet: neither ${tilde(host, at.settings)} nor keys.`,
    )
  const file = absolute(name)
  await mayWrite(host, file, flags.force === true)
  const now = await present(host)
  const text = backupText({ ...now, keys: await readRegistry(host) }, await ownVersion())
  // What could not be restored is no backup.
  const { parsed, keys, made } = parseBackup(text, 'this backup')
  await host.write(file, text)
  await rememberBackup(host, file, new Date(made))
  const [keyNames, people] = [Object.keys(keys.keys), Object.keys(parsed.people)]
  if (ui.json) process.stdout.write(`${JSON.stringify({ file, made, keys: keyNames, people }, null, 2)}\n`)
  else ui.say(told(tilde(host, file), name, keyNames, people, filesOfNodes(parsed)))
  return exitCodes.done
}

const absolute = (name: string): string => (name.startsWith('/') ? name : `${process.cwd()}/${name}`)

/** Throws `Stop` where something would be lost, or somebody else could change what decides who gets in. */
async function mayWrite(host: Host, file: string, force: boolean): Promise<void> {
  const folder = file.slice(0, file.lastIndexOf('/')) || '/'
  const [facts, there] = [await host.stat(`${folder}/.`), await host.stat(file)]
  if (facts?.kind !== 'folder')
    throw new Stop(exitCodes.usage, `There is no folder ${folder}; make it first, or name another one.`)
  if (there && there.kind !== 'file')
    throw new Stop(exitCodes.usage, `${file} is no plain file; name one that is not there yet.`)
  if (force) return
  if (there)
    throw new Stop(
      exitCodes.usage,
      `${file} is there already; name another file, or write over it with --force. Nothing was changed.`,
    )
  // The sticky bit keeps others from replacing it, as in /tmp.
  if ((facts.mode & 0o022) !== 0 && (facts.mode & 0o1000) === 0)
    throw new Stop(
      exitCodes.usage,
      `Others may write in ${folder}, and whoever changes a backup decides who gets in once it is restored; name a folder of your own, or add --force. Nothing was changed.`,
    )
}

const listed = (names: string[]): string => (names.length > 0 ? names.join(', ') : 'none')

/** Files that settings name for nodes: their keys are secrets, and a backup holds none. */
const filesOfNodes = ({ nodes }: Settings): string[] =>
  Object.values(nodes)
    .flatMap(({ key, tls }) => [key?.replace(/^file:/, ''), tls])
    .filter((file) => file !== undefined)

function told(file: string, name: string, keys: string[], people: string[], ofNodes: string[]): string {
  return [
    `Saved to ${file}, for you alone to read:`,
    '  settings  settings.yaml as it is written',
    `  keys      ${listed(keys)}`,
    '            (names, limits and hashes; the keys themselves are kept nowhere)',
    `  people    ${listed(people)}`,
    'Not in it: models, usage, logs, programs.',
    ...(ofNodes.length > 0 ? [`Copy these yourself, too, which nodes need: ${ofNodes.join(', ')}`] : []),
    `Bring it back, here or on another machine: ${typed('restore')} ${/^[\w./-]+$/.test(name) ? name : `'${name}'`}`,
  ].join('\n')
}

export const script: Script = {
  usage: `Usage: ${typed('backup')} FILE [--force]
Saves settings, API keys (names, limits, hashes) and people to one file for you alone; models are not in it.

  --force    write over a file that is there, or into a folder in which others may write
  --json     one JSON document on stdout`,
  options: { force: { type: 'boolean' }, json: { type: 'boolean' } },
  positionals: true,
  run: backup,
}
