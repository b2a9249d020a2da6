import { brewEnv, installer, runBrew, surveyHomebrew } from '../platform/brew.ts'
import { missed, ok, type Step } from '../step.ts'
import type { Part } from './part.ts'

/** Homebrew, by its own installer: it names what it will do and asks for the password itself. */
export const homebrew: Part = {
  name: 'homebrew',
  steps: (machine, setup) => [
    {
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
    } satisfies Step,
  ],
}
