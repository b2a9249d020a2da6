import type { Look } from '../host/host.ts'
import { brewEnv, compiled, installer, knowsNewest, runBrew, surveyHomebrew } from '../platform/mac/brew.ts'
import { tailscaleState } from '../platform/tailscale.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { advice, type Check, type Finding, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part } from './part.ts'

/** The formulae of ours that are still to be installed. */
async function toPour(look: Look, { programs, mode }: Setup): Promise<string[]> {
  const wanted = { ollama: programs.ollama, ...(mode === 'proxy' ? { haproxy: programs.haproxy } : {}) }
  const found = await Promise.all(
    Object.entries(wanted).map(async ([name, program]) => ((await look.find([program])) ? [] : [name])),
  )
  return found.flat()
}

const nothingLeft = ok('nothing is left to install')

/** Homebrew, by its own installer: it names what it will do and asks for the password itself. */
function present(machine: Machine, setup: Setup): Step {
  return {
    id: 'homebrew.present',
    title: 'Homebrew is installed',
    keeps: 'other programs may need it',
    interactive: true,
    async check() {
      const { brew, otherBrew, prefix } = machine
      const beside = otherBrew && `the Homebrew in ${otherBrew.prefix} is not for Apple silicon, and is left as it is`
      if (brew) return ok(beside ? `${brew}; ${beside}` : brew)
      return missed(
        beside ?? 'brew was found neither in PATH nor in /opt/homebrew',
        `Install it from https://brew.sh, or run install.ts again and agree to it (${prefix}/bin/brew).`,
      )
    },
    async apply(host) {
      const script = `${host.home}/Library/Caches/remote-ollama-proxy-homebrew.sh`
      await host.folder(`${host.home}/Library/Caches`)
      await host.run(['curl', '-fsSL', '--retry', '3', '-o', script, installer])
      // uname decides the prefix there, and a translated parent would get an Intel Homebrew (Homebrew/install install.sh).
      const env = setup.attended ? brewEnv : { ...brewEnv, NONINTERACTIVE: '1' }
      await runBrew(host, ['arch', '-arm64', '/bin/bash', script], setup.attended, env)
      await host.remove(script)
      Object.assign(machine, await surveyHomebrew(host))
    },
  }
}

/** An old list does not know a name, or brings an Ollama that is too old; at a terminal nobody could read that from what brew says. */
function index(machine: Machine, setup: Setup): Step {
  let came: Finding | undefined
  const update = () => [machine.brew ?? `${machine.prefix}/bin/brew`, 'update']
  return {
    id: 'homebrew.index',
    title: 'Homebrew’s list of packages is not older than a week',
    interactive: setup.attended,
    async check(look) {
      if (came) return came
      const left = (await toPour(look, setup)).length > 0 || !(await tailscaleState(look)).cli
      if (!left) return nothingLeft
      if (!machine.brew) return ok('it comes with Homebrew')
      return (await knowsNewest(look, machine.brew))
        ? ok('it came within a week')
        : missed('it is older than a week', update().join(' '))
    },
    async apply(host) {
      // What cannot be installed from the old list is told then, with its own reason.
      came = await host.run(update(), { env: brewEnv, interactive: setup.attended }).then(
        () => ok('it came a moment ago'),
        (error: Error) => advice(`the old one is used, since ${error.message}`, update().join(' ')),
      )
    },
  }
}

/** Homebrew compiles without a question what it has not ready-made for a macOS that it no longer supports (Homebrew/brew: formula_installer.rb). */
function bottles(machine: Machine, setup: Setup): Check {
  return {
    id: 'homebrew.bottles',
    title: 'Homebrew has ready-made packages for this macOS',
    ahead: true,
    async check(look) {
      const formulae = await toPour(look, setup)
      if (formulae.length === 0) return nothingLeft
      if (!machine.brew) return skipped('Homebrew is not there yet')
      const [macos = 0] = machine.version
      const found = await compiled(look, machine.brew, formulae, macos)
      if (found === undefined) return skipped('Homebrew does not say')
      return found.length === 0
        ? ok(formulae.join(', '))
        : advice(
            `Homebrew has no ready-made ${found.join(', ')} for macOS ${macos}: compiled here, which may take an hour`,
            'Upgrade macOS first, or let it compile; that needs Apple’s command line tools (xcode-select --install).',
          )
    },
  }
}

/** What packages come from. */
export const homebrew: Part = {
  name: 'homebrew',
  steps: (machine, setup) => [present(machine, setup), index(machine, setup), bottles(machine, setup)],
}
