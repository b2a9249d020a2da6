import { join } from 'node:path'
import type { Box } from './box.ts'
import { install, linkAgain, type Named, orderedFailure, pin, uninstall, update, upgrade } from './brew/install.ts'
import { cache, formulae, intelBox, isIntel, kegsOf, latestCasks, latestVersions } from './brew/kegs.ts'
import { services } from './brew/services.ts'
import { complain, say, translated } from './system.ts'

function named(argv: string[]): Named {
  return {
    names: argv.filter((word) => !word.startsWith('-')),
    cask: argv.some((word) => word === '--cask' || word === '--casks'),
  }
}

function prefix(box: Box, names: string[]): number {
  const [name] = names
  if (name === undefined) return say(box.mac.prefix)
  if (!formulae[name]) return complain(`Error: No available formula with the name "${name}".`)
  return say(join(box.mac.prefix, 'opt', name))
}

/** `list --versions NAME…`: nothing and exit code 1 for what is not installed. */
function list(argv: string[], box: Box): number {
  const { names, cask } = named(argv)
  const { installed, casks } = box.mac.brew
  const known = cask ? casks : argv.includes('--formula') ? installed : { ...installed, ...casks }
  const found = (names.length > 0 ? names : Object.keys(known)).filter((name) => known[name] !== undefined)
  for (const name of found.sort()) {
    const versions = installed[name] && !cask ? [...new Set([...kegsOf(box, name), installed[name]])] : [known[name]]
    say(argv.includes('--versions') ? `${name} ${versions.join(' ')}` : name)
  }
  const missing = names.filter((name) => known[name] === undefined)
  if (missing.length > 0 && !argv.includes('--versions'))
    return complain(`Error: No such keg: ${box.mac.prefix}/Cellar/${missing[0]}`)
  return missing.length > 0 ? 1 : 0
}

/** `outdated --json=v2 [NAME…]`: with names it ends with 1 when one of them is (cmd/outdated.rb). */
function outdated(argv: string[], box: Box): number {
  const { names } = named(argv)
  const { installed, casks, pinned = [] } = box.mac.brew
  const behind = (have: Record<string, string>, can: Record<string, string>) =>
    Object.entries(have)
      .filter(([name, version]) => can[name] !== undefined && can[name] !== version)
      .filter(([name]) => names.length === 0 || names.includes(name))
      .map(([name, version]) => ({
        name,
        installed_versions: [version],
        current_version: can[name],
        pinned: pinned.includes(name),
        pinned_version: pinned.includes(name) ? version : null,
      }))
  // Both apps update themselves, so they are told of only when that is asked for.
  const apps = argv.includes('--greedy') ? behind(casks, latestCasks(box)) : []
  const report = { formulae: behind(installed, latestVersions(box)), casks: apps }
  say(JSON.stringify(report, null, 2))
  return names.length > 0 && [...report.formulae, ...report.casks].length > 0 ? 1 : 0
}

/** Tags of the bottles that a formula has, newest first. */
function bottleTags({ mac }: Box, name: string): string[] {
  const { bottleless = [] } = mac.brew
  const newer = Object.entries(codenames).filter(([, major]) => major > Number.parseInt(mac.macos, 10))
  const made = bottleless.includes(name) ? newer : Object.entries(codenames)
  return [...made.map(([codename]) => `arm64_${codename}`).reverse(), 'arm64_linux', 'x86_64_linux']
}

const codenames = { sonoma: 14, sequoia: 15, tahoe: 26, golden_gate: 27 }

function formulaInfo(box: Box, name: string): object {
  const { installed } = box.mac.brew
  const latest = latestVersions(box)
  const versions = installed[name] ? [...new Set([...kegsOf(box, name), installed[name]])] : []
  return {
    name,
    full_name: name,
    versions: { stable: latest[name] ?? null, head: null, bottle: true },
    bottle: { stable: { rebuild: 0, files: Object.fromEntries(bottleTags(box, name).map((tag) => [tag, {}])) } },
    installed: versions.map((version) => ({ version, installed_on_request: true })),
    linked_keg: installed[name] ?? null,
    outdated: installed[name] !== undefined && installed[name] !== latest[name],
  }
}

function caskInfo(box: Box, token: string): object {
  const [{ casks }, latest] = [box.mac.brew, latestCasks(box)]
  return {
    token,
    full_token: token,
    version: latest[token],
    installed: casks[token] ?? null,
    outdated: (casks[token] ?? latest[token]) !== latest[token],
  }
}

function info(argv: string[], box: Box): number {
  const { names } = named(argv)
  const apps = latestCasks(box)
  const needed = Object.values(box.mac.brew.dependencies).flat()
  const latest = { ...Object.fromEntries(needed.map((name) => [name, '1.0'])), ...latestVersions(box) }
  const unknown = names.find((name) => !latest[name] && !apps[name])
  if (unknown) return complain(`Error: No available formula with the name "${unknown}".`)
  const report = {
    formulae: names.filter((name) => latest[name]).map((name) => formulaInfo(box, name)),
    casks: names.filter((name) => !latest[name]).map((name) => caskInfo(box, name)),
  }
  if (argv.some((word) => word.startsWith('--json'))) return say(JSON.stringify(report, null, 2))
  return say(names.map((name) => `==> ${name}: stable ${latest[name] ?? apps[name]} (bottled)`).join('\n'))
}

/** It prints nothing where PATH has it already, and no PATH line that could be read by a program (cmd/shellenv.sh). */
function shellenv(box: Box): number {
  const { prefix: home } = box.mac
  if (process.env.PATH?.startsWith(`${home}/bin:`)) return 0
  const variables = { PREFIX: home, CELLAR: `${home}/Cellar`, REPOSITORY: home }
  for (const [name, value] of Object.entries(variables)) say(`export HOMEBREW_${name}="${value}";`)
  return say(`eval "$(/usr/bin/env PATH_HELPER_ROOT="${home}" /usr/libexec/path_helper -s)"`)
}

/** What doctor finds of a check, as the real one says it (diagnostic.rb). */
const checks: Record<string, (box: Box) => string | undefined> = {
  check_homebrew_prefix: (box) =>
    isIntel(box) === (translated(box.mac) || box.mac.arch === 'x86_64')
      ? undefined
      : `Warning: Your Homebrew's prefix is not ${isIntel(box) ? '/opt/homebrew' : '/usr/local'}.\n\nMost of Homebrew's bottles (binary packages) can only be used with the default prefix.`,
}

/** deps --union: what these formulae need, one a line. */
function deps(names: string[], box: Box): number {
  const needed = [...new Set(names.flatMap((name) => box.mac.brew.dependencies[name] ?? []))].sort()
  return needed.length > 0 ? say(needed.join('\n')) : 0
}

function doctor(names: string[], box: Box): number {
  const unknown = names.find((name) => !checks[name])
  if (unknown) return complain(`Error: No check available by the name: ${unknown}`)
  const found = names.flatMap((name) => checks[name]?.(box) ?? [])
  return found.length > 0 ? complain(found.join('\n\n')) : say('Your system is ready to brew.')
}

/** Verbs that change nothing here. */
const quiet: Record<string, string> = {
  cleanup: '',
  analytics: '',
  autoremove: '',
}

/** The stand-in Homebrew: what it installs are the box's programs, in a Cellar with links as on a Mac. */
export async function main(argv: string[], box: Box): Promise<number> {
  const [verb = '', ...words] = argv
  const failed = ['install', 'upgrade', 'uninstall'].includes(verb)
    ? undefined
    : orderedFailure(box, verb, named(words).names[0])
  if (failed !== undefined) return failed
  if (verb === '--prefix') return prefix(box, words)
  if (verb === '--cellar') return say(join(box.mac.prefix, 'Cellar'))
  if (verb === '--version' || verb === '-v') return say('Homebrew 6.0.18')
  if (verb === 'list' || verb === 'ls') return list(words, box)
  if (verb === 'install' || verb === 'reinstall') return install(box, named(words))
  if (verb === 'upgrade') return upgrade(box, named(words))
  if (verb === 'uninstall' || verb === 'remove') return uninstall(box, named(words), words.includes('--force'))
  if (verb === 'link') return linkAgain(box, named(words))
  if (verb === 'pin' || verb === 'unpin') return pin(box, named(words), verb === 'pin')
  if (verb === 'services') return services(words, box)
  if (verb === 'outdated') return outdated(words, box)
  if (verb === 'info') return info(words, box)
  if (verb === '--cache') return say(cache())
  if (verb === 'update') return update(box)
  if (verb === 'deps') return deps(named(words).names, box)
  if (verb === 'doctor') return doctor(words, box)
  if (verb === 'shellenv') return shellenv(box)
  const answer = quiet[verb]
  if (answer === undefined) return complain(`Error: Unknown command: brew ${verb}`)
  return answer === '' ? 0 : say(answer)
}

/** An Intel Mac's Homebrew, at work on what is its own. */
export const intel = (argv: string[], box: Box): Promise<number> => main(argv, intelBox(box))
