import { z } from 'zod'
import { json, type Output } from '../../host/command.ts'
import type { Host, Look } from '../../host/host.ts'
import { typed } from '../../host/typed.ts'
import type { Newer, Packager, Packages } from '../platform.ts'

/** Apple silicon's Homebrew, and the only folder that its ready-made packages are for (Homebrew/brew: utils/os.sh). */
const home = '/opt/homebrew'

/** Finds Apple silicon's Homebrew: an Intel one, brought along from an older Mac, may come before it in PATH. */
export async function surveyHomebrew(look: Look): Promise<Packager> {
  const ours = await look.find([`${home}/bin/brew`])
  const found = [await look.find(['brew']), await look.find(['/usr/local/bin/brew'])]
  const path = found.find((one) => one !== undefined && one !== ours)
  const prefix = path && (await look.query([path, '--prefix'])).stdout.trim()
  if (!path || !prefix || prefix === home) return { program: ours ?? path, prefix: home }
  if (!ours && (await isDefault(look, path))) return { program: path, prefix }
  return { program: ours, prefix: home, other: { path, prefix } }
}

/** Whether Homebrew itself takes its folder for the one of this processor; asked natively, since a translated one would count itself as Intel's. */
const isDefault = async (look: Look, brew: string): Promise<boolean> =>
  (await look.query(['arch', '-arm64', brew, 'doctor', 'check_homebrew_prefix'], { timeoutMs: 30_000 })).code === 0

/** A text in which paths of one version lead to whatever version is there: an upgrade removes the former (Homebrew/brew: docs/Manpage, `opt`). */
export const stable = (text: string): string => text.replace(/\/Cellar\/([^/\s]+)\/[^/\s]+\//g, '/opt/$1/')

/** `brew` as a person types it: by its path where another one may come first. */
const typedBrew = ({ program = 'brew', other }: Packager): string => (other ? program : 'brew')

/** The program, where it is or would be. */
const brewOf = ({ program, prefix }: Packager): string => program ?? `${prefix}/bin/brew`

/** Homebrew's own installer. */
const installer = 'https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh'

/** Keeps Homebrew from asking, updating, upgrading and tidying beyond what was named (facts: brew `env_config.rb`). */
const brewEnv: Record<string, string> = {
  HOMEBREW_NO_ASK: '1',
  HOMEBREW_NO_AUTO_UPDATE: '1',
  HOMEBREW_NO_INSTALL_UPGRADE: '1',
  HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK: '1',
  HOMEBREW_NO_INSTALL_CLEANUP: '1',
  HOMEBREW_NO_ENV_HINTS: '1',
  HOMEBREW_NO_EMOJI: '1',
  HOMEBREW_NO_ANALYTICS: '1',
}

/** Runs Homebrew, at a person's terminal when one sits there: it asks for RETURN and the password. */
const runBrew = (host: Host, argv: string[], attended: boolean, env = brewEnv): Promise<Output> =>
  host.run(argv, { env, interactive: attended, overheard: { by: 'Homebrew' } })

/** Whether Homebrew's list of packages came within a week; it is renewed, or found to be the newest, by `brew update` (Homebrew/brew: cmd/update.sh). */
async function knowsNewest(look: Look, brew: string): Promise<boolean> {
  const cache = (await look.query([brew, '--cache'])).stdout.trim()
  const { stdout } = await look.query(['find', `${cache}/api`, '-name', '*.jws.json', '-mtime', '-7'])
  return stdout.trim() !== ''
}

/** First macOS of each name in a bottle's tag (Homebrew/brew: macos_version.rb). */
const releases: Record<string, number> = { sonoma: 14, sequoia: 15, tahoe: 26, golden_gate: 27 }

/** Homebrew also pours what was made for an older macOS (Homebrew/brew: extend/os/mac/utils/bottles.rb). */
const pours = (tag: string, macos: number): boolean => {
  const [, name = ''] = /^arm64_(?!linux)(\w+)$/.exec(tag) ?? []
  return tag === 'all' || (name !== '' && (releases[name] ?? (macos > 27 ? 0 : 100)) <= macos)
}

const info = z.object({
  formulae: z.array(
    z.object({
      name: z.string(),
      installed: z.array(z.unknown()),
      bottle: z.object({ stable: z.object({ files: z.record(z.string(), z.unknown()) }).optional() }),
    }),
  ),
})

/** Which of these formulae, and of what they need, would be compiled on this macOS (its first number); undefined when Homebrew does not say. */
export async function compiled(
  look: Look,
  brew: string,
  formulae: string[],
  macos: number,
): Promise<string[] | undefined> {
  const ask = (...words: string[]) =>
    look.query(['env', 'HOMEBREW_NO_AUTO_UPDATE=1', brew, ...words], { timeoutMs: 60_000 })
  const needed = await ask('deps', '--union', '--formula', ...formulae)
  const all = [...formulae, ...needed.stdout.split(/\s+/).filter(Boolean)]
  const said = await ask('info', '--json=v2', '--formula', ...all)
  if (needed.code !== 0 || said.code !== 0) return undefined
  const parsed = info.safeParse(json(said.stdout))
  return parsed.data?.formulae
    .filter(({ installed, bottle }) => installed.length === 0 && !tags(bottle).some((tag) => pours(tag, macos)))
    .map(({ name }) => name)
}

const tags = ({ stable: made }: { stable?: { files: Record<string, unknown> } }): string[] =>
  Object.keys(made?.files ?? {})

const versions = z.union([z.string().transform((one) => [one]), z.array(z.string())])
const behind = z.object({
  name: z.string(),
  installed_versions: versions,
  current_version: z.string(),
  pinned: z.boolean().nullish(),
})
const outdated = z.object({ formulae: z.array(behind), casks: z.array(behind) })

/** Apps that update themselves are told of, too (`--greedy`); without names it ends with 0 whatever it finds (Homebrew/brew: cmd/outdated.rb). */
async function newer(look: Look, brew: string): Promise<Newer[] | undefined> {
  const argv = ['env', 'HOMEBREW_NO_AUTO_UPDATE=1', brew, 'outdated', '--json=v2', '--greedy']
  const { code, stdout } = await look.query(argv, { timeoutMs: 60_000 })
  const { success, data } = outdated.safeParse(json(stdout))
  if (code !== 0 || !success) return undefined
  const one = (kind: Newer['kind']) => (entry: z.infer<typeof behind>) => ({
    name: entry.name,
    kind,
    installed: entry.installed_versions.at(-1) ?? '',
    current: entry.current_version,
    pinned: entry.pinned === true,
  })
  return [...data.formulae.map(one('formula')), ...data.casks.map(one('cask'))]
}

/** Without --force an uninstall takes the linked version alone, and link takes the newest that is left (Homebrew/brew: uninstall.rb, cmd/link.rb). No older one can be downloaded. */
async function back(look: Look, packager: Packager, { name, kind, installed }: Newer): Promise<string> {
  const brew = typedBrew(packager)
  if (kind === 'cask') return `Homebrew has no earlier version of an app: get ${installed} from its maker.`
  if (!(await look.stat(`${packager.prefix}/Cellar/${name}/${installed}`)))
    return `Homebrew has no earlier version to download, and ${installed} is not on this machine any more: wait for the next one (${brew} upgrade ${name}).`
  return `${installed} is still on this machine. Go back to it, and stay there until \`${brew} unpin ${name}\`:\n  ${brew} uninstall --ignore-dependencies ${name} && ${brew} link ${name} && ${brew} pin ${name} && ${typed('install')}`
}

/** Homebrew's own installer names what it will do and asks for the password itself. */
async function setUp(host: Host, attended: boolean): Promise<void> {
  const script = `${host.home}/Library/Caches/remote-ollama-proxy-homebrew.sh`
  await host.folder(`${host.home}/Library/Caches`)
  await host.run(['curl', '-fsSL', '--retry', '3', '-o', script, installer])
  // uname decides the prefix there, and a translated parent would get an Intel Homebrew (Homebrew/install install.sh).
  const env = attended ? brewEnv : { ...brewEnv, NONINTERACTIVE: '1' }
  await runBrew(host, ['arch', '-arm64', '/bin/bash', script], attended, env)
  await host.remove(script)
}

export const packages: Packages = {
  name: 'Homebrew',
  names: { tailscale: ['tailscale-app', 'cask'] },
  survey: surveyHomebrew,
  sought: `brew was found neither in PATH nor in ${home}`,
  site: 'https://brew.sh',
  besides: ({ prefix }) => `the Homebrew in ${prefix} is not for Apple silicon, and is left as it is`,
  setUp,
  asks: ['your password', 'RETURN'],
  typed: (packager, verb, ...names) => `${typedBrew(packager)} ${verb} ${names.join(' ')}`,
  installs: (packager, name, kind) => `${brewOf(packager)} install --${kind} ${name}`,
  install: (host, packager, name, kind, attended) =>
    runBrew(host, [brewOf(packager), 'install', `--${kind}`, name], attended),
  newer: (look, packager) => newer(look, brewOf(packager)),
  upgrades: (packager, { name, kind }) => `${typedBrew(packager)} upgrade ${kind === 'cask' ? '--cask ' : ''}${name}`,
  upgrade: (host, packager, { name, kind }, attended) =>
    runBrew(host, [brewOf(packager), 'upgrade', `--${kind}`, name], attended),
  back,
  recent: (look, packager) => knowsNewest(look, brewOf(packager)),
  renews: (packager) => `${brewOf(packager)} update`,
  renew: (host, packager, attended) => runBrew(host, [brewOf(packager), 'update'], attended),
  compiled: (look, packager, names, version) => compiled(look, brewOf(packager), names, version),
  release: (version) => `macOS ${version}`,
  compiling: 'Upgrade macOS first, or let it compile; that needs Apple’s command line tools (xcode-select --install).',
  bundled: {
    ollama: '/Applications/Ollama.app/Contents/Resources/ollama',
    upgrade: 'update Ollama.app from its menu',
    newer: 'the app updates itself from its menu',
  },
  stopsService: (name) => `sudo brew services stop ${name}`,
  restartsService: (name) => `sudo brew services restart ${name}`,
  withService: (name) => `brew install ${name} && sudo brew services start ${name}`,
  commands: ({ prefix }) => `${prefix}/bin`,
  reach: ({ prefix }) => `echo 'eval "$(${prefix}/bin/brew shellenv)"' >> ~/.zprofile   (then open a new terminal)`,
  program: ({ prefix }, name) => `${prefix}/opt/${name}/bin/${name}`,
  stable,
}
