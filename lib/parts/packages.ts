import type { Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { platformOf } from '../platform/here.ts'
import { tailscaleState } from '../platform/tailscale.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { advice, type Check, type Finding, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part } from './part.ts'

/** The packages of ours that are still to be installed. */
async function toPour(look: Look, { programs, mode }: Setup): Promise<string[]> {
  const wanted = { ollama: programs.ollama, ...(mode === 'proxy' ? { haproxy: programs.haproxy } : {}) }
  const found = await Promise.all(
    Object.entries(wanted).map(async ([name, program]) => ((await look.find([program])) ? [] : [name])),
  )
  return found.flat()
}

const nothingLeft = ok('nothing is left to install')

/** The package manager, by its own installer. */
function present(machine: Machine, setup: Setup): Step {
  const manager = platformOf(machine).packages
  return {
    id: 'packages.present',
    title: `${manager.name} is installed`,
    keeps: 'other programs may need it',
    interactive: true,
    asks: manager.asks,
    async check() {
      const { program, other, prefix } = machine.packager
      const beside = other && manager.besides(other)
      if (program) return ok(beside ? `${program}; ${beside}` : program)
      return missed(
        beside ?? manager.sought,
        `Install it from ${manager.site}, or run ${called('install')} again and agree to it (${prefix}).`,
      )
    },
    async apply(host) {
      await manager.setUp(host, setup.attended)
      machine.packager = await manager.survey(host)
    },
  }
}

/** An old list does not know a name, or brings an Ollama that is too old; at a terminal nobody could read that from what the package manager says. */
function index(machine: Machine, setup: Setup): Step {
  let came: Finding | undefined
  const manager = platformOf(machine).packages
  const renews = () => manager.renews(machine.packager)
  return {
    id: 'packages.index',
    title: `${manager.name}’s list of packages is not older than a week`,
    interactive: setup.attended,
    async check(look) {
      if (came) return came
      const left = (await toPour(look, setup)).length > 0 || !(await tailscaleState(look)).cli
      if (!left) return nothingLeft
      if (!machine.packager.program) return ok(`it comes with ${manager.name}`)
      return (await manager.recent(look, machine.packager))
        ? ok('it came within a week')
        : missed(`${manager.name}’s list of packages is older than a week`, renews())
    },
    async apply(host) {
      // What cannot be installed from the old list is told then, with its own reason.
      came = await manager.renew(host, machine.packager, setup.attended).then(
        () => ok('it came a moment ago'),
        (error: Error) => advice(`the old list of packages is used, since ${error.message}`, renews()),
      )
    },
  }
}

/** Homebrew compiles without a question what it has not ready-made for a system that it no longer supports (Homebrew/brew: formula_installer.rb). */
function readyMade(machine: Machine, setup: Setup): Check {
  const manager = platformOf(machine).packages
  return {
    id: 'packages.ready-made',
    title: `${manager.name} has ready-made packages for this system`,
    ahead: true,
    async check(look) {
      const formulae = await toPour(look, setup)
      if (formulae.length === 0) return nothingLeft
      if (!machine.packager.program) return skipped(`${manager.name} is not there yet`)
      const [version = 0] = machine.version
      const found = await manager.compiled(look, machine.packager, formulae, version)
      if (found === undefined) return skipped(`${manager.name} does not say`)
      return found.length === 0
        ? ok(formulae.join(', '))
        : advice(
            `${manager.name} has no ready-made ${found.join(', ')} for ${manager.release(version)}: compiled here, which may take an hour`,
            manager.compiling,
          )
    },
  }
}

/** What packages come from. */
export const packages: Part = {
  name: 'packages',
  about: (machine) => ({
    title: platformOf(machine).packages.name,
    what: 'brings the programs',
    where: machine.packager.prefix,
  }),
  steps: (machine, setup) => [present(machine, setup), index(machine, setup), readyMade(machine, setup)],
}
