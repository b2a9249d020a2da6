import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { type Box, isRoot } from '../box.ts'
import { complain, say, translated } from '../system.ts'
import {
  casks,
  formulae,
  isIntel,
  keg,
  kegsOf,
  latestCasks,
  latestVersions,
  linkKeg,
  placeApp,
  placeIndex,
  placeKeg,
  removeApp,
  removeKegs,
  unlinkKeg,
} from './kegs.ts'

/** What the command line names, and which kind of package is meant. */
export interface Named {
  names: string[]
  cask: boolean
}

const bottle = (name: string) => `https://ghcr.io/v2/homebrew/core/${name}/blobs/sha256:${'0'.repeat(64)}`

/** The failure that mac.json orders for this verb and package, counted down. */
export function orderedFailure(box: Box, verb: string, name?: string): number | undefined {
  const { fail } = box.mac.brew
  if (!fail || fail.verb !== verb || (fail.name !== undefined && fail.name !== name) || fail.times === 0)
    return undefined
  if (fail.times !== undefined) {
    box.save(({ brew }) => {
      if (brew.fail?.times) brew.fail.times -= 1
    })
  }
  return complain(fail.stderr, fail.code)
}

function offline(name: string, url: string): number {
  const host = new URL(url).host
  return complain(
    `Error: ${name}: Failed to download resource "${name}"\nDownload failed: ${url}\ncurl: (6) Could not resolve host: ${host}`,
  )
}

/** Homebrew 6 asks on a terminal when more would be installed than was named. */
async function agreed(box: Box, names: string[]): Promise<boolean> {
  const more = names.flatMap((name) => box.mac.brew.dependencies[name] ?? [])
  const terminal = process.stdin.isTTY && process.stdout.isTTY
  if (process.env.HOMEBREW_NO_ASK || more.length === 0 || !terminal) return true
  say(`==> Would install ${names.length} formulae and ${more.length} dependencies:\n${[...names, ...more].join(' ')}`)
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test(await lines.question('==> Do you want to proceed with the installation? [y/n] '))
  } finally {
    lines.close()
  }
}

function pour(box: Box, name: string, version: string): number {
  const { network, dependencies } = box.mac.brew
  for (const one of [...(dependencies[name] ?? []), name]) {
    say(`==> Fetching ${one}\n==> Downloading ${bottle(one)}`)
    if (!network) return offline(one, bottle(one))
    say(`${'#'.repeat(72)} 100.0%`)
  }
  if (box.mac.brew.bottleless?.includes(name)) say(`==> make install\n🍺  built ${name} in 61 minutes`)
  else say(`==> Pouring ${name}--${version}.arm64_tahoe.bottle.tar.gz`)
  placeKeg(box, name, version)
  box.save(({ brew, tailscale }) => {
    brew.installed[name] = version
    if (name !== 'tailscale') return
    if (tailscale.variant === 'absent') Object.assign(tailscale, { variant: 'formula', daemon: false })
    else if (tailscale.variant !== 'formula') tailscale.second = 'formula'
  })
  return say(`🍺  ${keg(box, name, version)}: 9 files, 35MB`)
}

function installFormula(box: Box, name: string): number {
  const { installed } = box.mac.brew
  const version = latestVersions(box)[name]
  const present = installed[name]
  if (!formulae[name] || version === undefined)
    return complain(
      `Warning: No available formula with the name "${name}".\n==> Searching for similarly named formulae and casks...`,
    )
  if (present === version)
    return complain(
      `Warning: ${name} ${version} is already installed and up-to-date.\nTo reinstall ${version}, run:\n  brew reinstall ${name}`,
      0,
    )
  if (present !== undefined && process.env.HOMEBREW_NO_INSTALL_UPGRADE) {
    return complain(
      `Warning: ${name} ${present} is already installed.\nTo upgrade to ${version}, run:\n  brew upgrade ${name}`,
      0,
    )
  }
  const { bottleless = [], oldestMacos } = box.mac.brew
  if (bottleless.includes(name) && Number.parseInt(box.mac.macos, 10) >= oldestMacos)
    return complain(
      `Error: ${name}: no bottle available!\nIf you're feeling brave, you can try to install from source with:\n  brew install --build-from-source ${name}`,
    )
  return present === undefined ? pour(box, name, version) : upgradeFormula(box, name)
}

/** brew update: the newest list of packages. */
export function update(box: Box): number {
  if (!box.mac.brew.network)
    return complain(
      "fatal: unable to access 'https://github.com/Homebrew/brew/': Could not resolve host: github.com\nError: Fetching /opt/homebrew failed!",
    )
  const { old } = box.mac.brew
  box.save(({ brew }) => {
    delete brew.old
  })
  placeIndex(box)
  return say(old ? '==> Updated Homebrew from 5.0.1 to 6.0.18.' : 'Already up-to-date.')
}

/** A cask's package asks for the password as its installer does. */
function asAdministrator(name: string): boolean {
  if (name !== 'tailscale-app') return true
  say(`==> Running installer for ${name} with sudo; the password may be necessary.`)
  return spawnSync('sudo', ['-E', 'true'], { stdio: 'inherit' }).status === 0
}

function installCask(box: Box, name: string): number {
  const { casks: present, network } = box.mac.brew
  const [app, version] = [casks[name], latestCasks(box)[name]]
  if (!app || !version) return complain(`Error: Cask '${name}' is unavailable: No Cask with this name exists.`)
  if (present[name]) return complain(`Warning: Not upgrading ${name}, the latest version is already installed`, 0)
  const url =
    name === 'tailscale-app'
      ? `https://pkgs.tailscale.com/stable/Tailscale-${version}-macos.pkg`
      : `https://github.com/ollama/ollama/releases/download/v${version}/Ollama-darwin.zip`
  say(`==> Downloading ${url}`)
  if (!network) return offline(name, url)
  say(`${'#'.repeat(72)} 100.0%\n==> Installing Cask ${name}`)
  if (!asAdministrator(name))
    return complain(`Error: Failure while executing; \`/usr/bin/sudo -E -- /usr/sbin/installer\` exited with 1.`)
  placeApp(box, app, version)
  box.save((mac) => {
    mac.brew.casks[name] = version
    if (name === 'ollama-app') mac.ollamaApp.installed = true
    else if (mac.tailscale.variant === 'absent') Object.assign(mac.tailscale, { variant: 'standalone', daemon: true })
    else mac.tailscale.second = 'standalone'
  })
  return say(`🍺  ${name} was successfully installed!`)
}

/** Why brew does nothing for this caller at all. */
function refusal(box: Box): number | undefined {
  if (isRoot()) return complain('Error: Running Homebrew as root is extremely dangerous and no longer supported.')
  const rosetta = translated(box.mac)
  if (rosetta && box.mac.prefix === '/opt/homebrew')
    return complain('Error: Cannot install under Rosetta 2 in ARM default prefix (/opt/homebrew)!')
  if (!rosetta && box.mac.arch === 'arm64' && isIntel(box))
    return complain('Error: Cannot install in Homebrew on ARM processor in Intel default prefix (/usr/local)!')
  return undefined
}

/** brew install: formulae or casks. */
export async function install(box: Box, { names, cask }: Named): Promise<number> {
  const refused = refusal(box)
  if (refused !== undefined) return refused
  // It refreshes itself once a day, unless told not to.
  if (!process.env.HOMEBREW_NO_AUTO_UPDATE && box.mac.brew.old && update(box) !== 0) return 1
  if (!(await agreed(box, names))) return 1
  for (const name of names) {
    const asCask = cask || (casks[name] !== undefined && !formulae[name])
    const code = orderedFailure(box, 'install', name) ?? (asCask ? installCask(box, name) : installFormula(box, name))
    if (code !== 0) return code
  }
  return 0
}

function upgradeFormula(box: Box, name: string): number {
  const [old, version] = [box.mac.brew.installed[name], latestVersions(box)[name]]
  if (old === undefined) return complain(`Error: ${name} not installed`)
  if (version === undefined || old === version) return complain(`Warning: ${name} ${old} already installed`, 0)
  say(`==> Upgrading 1 outdated package:\n${name} ${old} -> ${version}`)
  const code = pour(box, name, version)
  // What still runs from the old keg keeps its deleted files, as on a Mac.
  if (code === 0 && !process.env.HOMEBREW_NO_INSTALL_CLEANUP)
    rmSync(keg(box, name, old), { recursive: true, force: true })
  return code
}

function upgradeCask(box: Box, name: string): number {
  const [old, version, app] = [box.mac.brew.casks[name], latestCasks(box)[name], casks[name]]
  if (!old || !version || !app) return complain(`Error: Cask '${name}' is not installed.`)
  if (old === version) return complain(`Warning: Not upgrading ${name}, the latest version is already installed`, 0)
  say(`==> Upgrading 1 outdated package:\n${name} ${old} -> ${version}`)
  placeApp(box, app, version)
  box.save(({ brew }) => {
    brew.casks[name] = version
  })
  return say(`🍺  ${name} was successfully upgraded!`)
}

/** brew upgrade: the named packages, or all outdated formulae. */
export function upgrade(box: Box, { names, cask }: Named): number {
  const refused = refusal(box)
  if (refused !== undefined) return refused
  const held = names.find((name) => box.mac.brew.pinned?.includes(name))
  if (held !== undefined)
    return complain(`Error: Not upgrading 1 pinned package:\n${held} ${latestVersions(box)[held]}`)
  for (const name of names.length > 0 ? names : Object.keys(box.mac.brew.installed)) {
    const code = orderedFailure(box, 'upgrade', name) ?? (cask ? upgradeCask(box, name) : upgradeFormula(box, name))
    if (code !== 0) return code
  }
  return 0
}

function uninstallCask(box: Box, name: string): void {
  removeApp(box, casks[name] ?? name)
  box.save((mac) => {
    delete mac.brew.casks[name]
    if (name === 'ollama-app') mac.ollamaApp.installed = false
    else {
      mac.tailscale.variant = mac.tailscale.second ?? 'absent'
      delete mac.tailscale.second
    }
  })
  say(`==> Uninstalling Cask ${name}`)
}

/** Without --force the linked version goes alone; what is left is linked again by hand. */
function uninstallLinked(box: Box, name: string, version: string): boolean {
  const left = kegsOf(box, name).filter((one) => one !== version)
  const newest = left.at(-1)
  if (newest === undefined) return false
  say(`Uninstalling ${keg(box, name, version)}... (9 files, 35MB)`)
  unlinkKeg(box, name)
  rmSync(keg(box, name, version), { recursive: true, force: true })
  box.save(({ brew }) => {
    brew.installed[name] = newest
  })
  say(
    `${name} ${left.join(' and ')} is still installed.\nTo remove all versions, run:\n  brew uninstall --force ${name}`,
  )
  return true
}

/** brew link: the newest version that is there. */
export function linkAgain(box: Box, { names }: Named): number {
  for (const name of names) {
    const version = kegsOf(box, name).at(-1)
    if (version === undefined) return complain(`Error: No such keg: ${box.mac.prefix}/Cellar/${name}`)
    linkKeg(box, name, version)
    say(`Linking ${keg(box, name, version)}... 2 symlinks created.`)
  }
  return 0
}

/** brew pin and unpin. */
export function pin(box: Box, { names }: Named, held: boolean): number {
  box.save(({ brew }) => {
    const others = (brew.pinned ?? []).filter((name) => !names.includes(name))
    brew.pinned = held ? [...others, ...names] : others
  })
  return 0
}

function uninstallFormula(box: Box, name: string): void {
  for (const version of kegsOf(box, name)) say(`Uninstalling ${keg(box, name, version)}... (9 files, 35MB)`)
  removeKegs(box, name)
  box.save(({ brew, tailscale }) => {
    delete brew.installed[name]
    if (name !== 'tailscale') return
    if (tailscale.variant === 'formula') tailscale.variant = 'absent'
    else delete tailscale.second
  })
}

/** brew uninstall. */
export function uninstall(box: Box, { names }: Named, force = false): number {
  for (const name of names) {
    const { installed, casks: apps } = box.mac.brew
    const failed = orderedFailure(box, 'uninstall', name)
    if (failed !== undefined) return failed
    if (apps[name]) uninstallCask(box, name)
    else if (installed[name]) {
      if (force || !uninstallLinked(box, name, installed[name])) uninstallFormula(box, name)
    } else return complain(`Error: No such keg: ${box.mac.prefix}/Cellar/${name}`)
  }
  return 0
}
