import { findingOf, isRenewed, standingOf } from '../certificates/checks.ts'
import { makeRoot, ownNames, rootFile, rootNames } from '../certificates/own-ca.ts'
import { renew } from '../certificates/renew.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { didYouMean } from '../site/nearest.ts'
import { readSettings, type Settings } from '../site/settings.ts'
import { takeLock } from '../steps/receipt.ts'
import { fitsOnly } from './arguments.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { columns, complain } from './screens/wrap.ts'

/** certificates: what is served for which name, renewed now, and the root that clients are to trust. */
async function certificates(ui: Ui, flags: Flags, [verb = 'list', ...rest]: string[]): Promise<number> {
  fitsOnly('certificates', verb, flags, { new: ['root'] })
  if (verb === 'list' && rest.length > 0)
    throw new Stop(exitCodes.usage, `${called('certificates list')} takes no name; it shows them all.`)
  const host = realHost(ui.note, ui.waiting)
  const settings = await readSettings(host)
  if (verb === 'list') return list(ui, host, settings)
  if (verb === 'renew') return locked(host, () => renewAll(ui, host, settings, rest))
  if (verb === 'root') return flags.new ? locked(host, () => newRoot(ui, host, settings)) : root(ui, host, rest)
  throw new Stop(
    exitCodes.usage,
    `${called('certificates')} does list, renew and root, not ${JSON.stringify(verb.slice(0, 40))}${didYouMean(verb, ['list', 'renew', 'root']) || '.'}`,
  )
}

async function locked(host: Host, work: () => Promise<number>): Promise<number> {
  const release = await takeLock(host)
  return work().finally(release)
}

const sourceOf = ({ tls }: Settings, name: string): string => {
  const source = tls[name]
  return typeof source === 'object' ? source.chain : (source ?? '')
}

async function list(ui: Ui, host: Host, settings: Settings): Promise<number> {
  const names = Object.keys(settings.tls)
  const all = await Promise.all(
    names.map(async (name) => {
      const standing = await standingOf(host, name)
      const found = findingOf(standing, isRenewed(settings, name))
      return { name, source: sourceOf(settings, name), until: standing.held?.until, found }
    }),
  )
  if (ui.json) process.stdout.write(`${JSON.stringify(all, null, 2)}\n`)
  else if (all.length === 0) ui.say('No name has a certificate; tls in settings.yaml names them.')
  else
    ui.say(
      columns(
        all.map(({ name, source, found }) => [
          name,
          source,
          found.is === 'skipped' ? found.why : found.is === 'ok' ? found.saw : `${found.saw}; ${found.remedy}`,
        ]),
      ).join('\n'),
    )
  return all.some(({ found }) => found.is === 'missed') ? exitCodes.failed : exitCodes.done
}

async function renewAll(ui: Ui, host: Host, settings: Settings, wanted: string[]): Promise<number> {
  const known = Object.keys(settings.tls)
  const strange = wanted.find((name) => !known.includes(name))
  if (strange !== undefined)
    throw new Stop(
      exitCodes.usage,
      `tls in settings.yaml has no ${JSON.stringify(strange.slice(0, 80))}${didYouMean(strange, known) || '.'}`,
    )
  let code: number = exitCodes.done
  for (const name of wanted.length > 0 ? wanted : known) {
    const done = ui.busy(`Asking for the certificate of ${name}`, true)
    try {
      const changed = await renew(host, settings, name, { now: true }).finally(done)
      ui.say(`${name}: ${changed ? 'a new one is served' : 'what is served is the newest there is'}.`)
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      complain(error.message)
      code = Math.max(code, error.code)
    }
  }
  return code
}

async function newRoot(ui: Ui, host: Host, settings: Settings): Promise<number> {
  const names = ownNames(settings)
  if (names.length === 0)
    throw new Stop(
      exitCodes.usage,
      'No name of tls in settings.yaml says own-ca, so there is nothing to make a root for.',
    )
  await makeRoot(host, names)
  ui.say(`A new root may sign for ${names.join(', ')}; give it to every client: ${typed('certificates root')} FILE`)
  return renewAll(ui, host, settings, names)
}

async function root(ui: Ui, host: Host, [file, ...more]: string[]): Promise<number> {
  if (file === undefined || more.length > 0)
    throw new Stop(
      exitCodes.usage,
      `${called('certificates root')} takes the one file to write: ${typed('certificates root')} FILE`,
    )
  const pem = await host.read(rootFile(host))
  const names = await rootNames(host)
  if (pem === undefined || !names)
    throw new Stop(
      exitCodes.precondition,
      `There is no root yet: say own-ca for a name under tls in settings.yaml, and run ${called('apply')}.`,
    )
  const path = file.startsWith('/') ? file : `${process.cwd()}/${file}`
  if (await host.stat(path))
    throw new Stop(exitCodes.usage, `${file} is there already; name another file. Nothing was changed.`)
  await host.write(path, pem, 0o644)
  ui.say(wordsFor(file, names))
  return exitCodes.done
}

/** How clients are told of it; docs/tls.md says more. */
const wordsFor = (file: string, names: string[]): string =>
  [
    `The root is in ${file}; whoever trusts it trusts this server for ${names.join(', ')}, and for nothing else.`,
    `  curl      curl --cacert ${file} https://${names[0]?.replace('*', 'any')}/`,
    `  Node      NODE_EXTRA_CA_CERTS=${file}`,
    `  Python    SSL_CERT_FILE=${file} (requests: REQUESTS_CA_BUNDLE)`,
    '  macOS     open it, add it to the login keychain, and set it to Always Trust',
    '  iOS       send it by AirDrop, install the profile, then Settings > General > About > Certificate Trust',
  ].join('\n')

export const script: Script = {
  usage: `Usage: ${typed('certificates')} [list] | renew [NAME …] | root FILE | root --new
What is served for each name of tls in settings.yaml, where it comes from and how long it lasts. Certificates are renewed by
themselves when a third of their life is left.

  renew        asks the sources now, all of them or those of the names, and swaps what is newer
  root FILE    writes the root of own-ca, for clients to trust
  --new        makes a new root, for all names that say own-ca now (root); clients need it anew
  --json       one JSON document on stdout`,
  options: { new: { type: 'boolean' }, json: { type: 'boolean' } },
  words: ['list', 'renew', 'root'],
  positionals: true,
  log: (argv) => (argv[0] === 'renew' || argv.includes('--new') ? 'certificates' : undefined),
  run: certificates,
}
