import { sha256 } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import type { Setup } from '../site/setup.ts'
import { folder, tilde } from '../steps/resources.ts'
import { again, missed, ok, type Step } from '../steps/step.ts'
import type { Part } from './part.ts'

/** What the jobs need of the project, beside its packages. */
const copied = ['package.json', 'package-lock.json', 'lib', 'templates', 'warm-models.ts', 'observer.ts']

/** A name for this state of the project: its version and a hash of what would be copied. */
export async function runtimeVersion(look: Look, checkout: string): Promise<string> {
  const texts = await Promise.all(copied.map((name) => texted(look, `${checkout}/${name}`)))
  const { version } = JSON.parse((await look.read(`${checkout}/package.json`)) ?? '{}') as { version?: string }
  return `${version ?? '0'}-${sha256(texts.join('\0')).slice(0, 8)}`
}

async function texted(look: Look, path: string): Promise<string> {
  if ((await look.stat(path))?.kind !== 'folder') return (await look.read(path)) ?? ''
  const names = (await look.list(path)).filter((name) => !name.endsWith('.test.ts'))
  const parts = await Promise.all(names.map(async (name) => `${name}\0${await texted(look, `${path}/${name}`)}`))
  return parts.join('\0')
}

/** Packages that the product needs at run time, from the lock file: those not marked `dev`. */
async function packages(look: Look, checkout: string): Promise<string[]> {
  const lock = JSON.parse((await look.read(`${checkout}/package-lock.json`)) ?? '{"packages":{}}') as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>
  }
  const names = Object.entries(lock.packages).filter(
    ([name, entry]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(name) && !entry.dev,
  )
  const there = await Promise.all(names.map(async ([name]) => ((await look.stat(`${checkout}/${name}`)) ? [name] : [])))
  return there.flat()
}

function copy(setup: Setup): Step {
  return {
    id: 'runtime.copy',
    title: 'What the jobs run is copied out of the checkout',
    async check(look) {
      const at = places(look)
      const facts = await look.stat(at.current)
      if (facts?.target !== setup.version)
        return missed(facts ? `${tilde(look, at.current)} is of another version` : 'not there yet', again)
      return (await look.stat(`${at.runtime}/${setup.version}/complete`))
        ? ok(`version ${setup.version}`)
        : missed('the copy is not complete', again)
    },
    async apply(host) {
      const at = places(host)
      const whole = `${at.runtime}/${setup.version}`
      const half = `${whole}.new`
      await host.remove(half)
      await host.folder(half)
      const names = [...copied, ...(await packages(host, setup.checkout))]
      await Promise.all(names.map((name) => host.copy(`${setup.checkout}/${name}`, `${half}/${name}`)))
      await host.write(`${half}/complete`, `${setup.version}\n`)
      await host.remove(whole)
      await host.move(half, whole)
      await host.link(setup.version, at.current)
      for (const name of await host.list(at.runtime))
        if (/^\d.*-[0-9a-f]{8}/.test(name) && name !== setup.version) await host.remove(`${at.runtime}/${name}`)
    },
    undone: 'The copy that the jobs ran is gone',
    async undo(host) {
      const at = places(host)
      for (const name of await host.list(at.runtime)) if (name !== 'state') await host.remove(`${at.runtime}/${name}`)
    },
  }
}

/** Folders and the copy that jobs run: a checkout moves, and ~/Documents is closed to jobs. */
export const runtime: Part = {
  name: 'runtime',
  steps: (machine, setup) => {
    const at = places(machine)
    return [
      // uninstall.ts removes it last, since it holds the receipt and the backups
      { ...folder({ id: 'runtime.state', title: 'The state folder is private', path: at.state }), undo: undefined },
      folder({ id: 'runtime.logs', title: 'The logs folder is private', path: at.logs }),
      copy(setup),
    ]
  },
}
