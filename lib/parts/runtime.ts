import { dirname } from 'node:path'
import { json, sha256 } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places, platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { absent, folder, tilde } from '../steps/resources.ts'
import { again, missed, ok, type Step } from '../steps/step.ts'

/** What the jobs and the command `rop` need of the project, beside its packages. */
const copied = ['package.json', 'lib', 'templates', 'rop.ts', 'warm-models.ts', 'observer.ts']

/** A name for this state of the project: its version and a hash of what would be copied. */
export async function runtimeVersion(look: Look, checkout: string): Promise<string> {
  const texts = await Promise.all(copied.map((name) => texted(look, `${checkout}/${name}`)))
  const needed = (await packages(look, checkout)).map(({ to, version }) => `${to} ${version}`).sort()
  const { version } = await manifest(look, checkout)
  return `${version ?? '0'}-${sha256([...texts, ...needed].join('\0')).slice(0, 8)}`
}

async function texted(look: Look, path: string): Promise<string> {
  if ((await look.stat(path))?.kind !== 'folder') return (await look.read(path)) ?? ''
  const names = (await look.list(path)).filter((name) => !name.endsWith('.test.ts'))
  const parts = await Promise.all(names.map(async (name) => `${name}\0${await texted(look, `${path}/${name}`)}`))
  return parts.join('\0')
}

interface Manifest {
  version?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

const manifest = async (look: Look, folder: string): Promise<Manifest> =>
  json((await look.read(`${folder}/package.json`)) ?? '{}') as Manifest

/** A package that the product needs at run time: where it is, and where it goes in the copy. */
interface Package {
  from: string
  to: string
  version?: string
}

/** What package.json asks for, and what that asks for: in a checkout below it, in an installed package beside it. */
export async function packages(look: Look, checkout: string): Promise<Package[]> {
  const found = new Map<string, Package>()
  const waiting: Package[] = [{ from: checkout, to: '' }]
  for (const asking of waiting) {
    const { dependencies, optionalDependencies } = await manifest(look, asking.from)
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const from = await foundBy(look, asking.from, name)
      if (from === undefined) continue
      const to = placeFor(found, asking, name, from)
      if (found.has(to)) continue
      const one = { from, to, version: (await manifest(look, from)).version }
      found.set(to, one)
      waiting.push(one)
    }
  }
  return [...found.values()]
}

/** Where Node finds a package: in the node_modules of a folder, or of one above it. */
async function foundBy(look: Look, folder: string, name: string): Promise<string | undefined> {
  for (let at = folder; at !== ''; at = at.slice(0, at.lastIndexOf('/')))
    if (await look.stat(`${at}/node_modules/${name}/package.json`)) return `${at}/node_modules/${name}`
  return undefined
}

/** Beside all others, or below the one that asks where those have another of that name. */
function placeFor(found: Map<string, Package>, asking: Package, name: string, from: string): string {
  const top = `/node_modules/${name}`
  const there = found.get(top)
  return there === undefined || there.from === from ? top : `${asking.to}/node_modules/${name}`
}

/** Removes the copies of other versions; the one of before stays until the new one has proven itself. */
export async function keepCopies(host: Host, kept: (string | undefined)[]): Promise<void> {
  const { runtime } = places(host)
  for (const name of await host.list(runtime))
    if (/^\d.*-[0-9a-f]{8}/.test(name) && !kept.includes(name)) await host.remove(`${runtime}/${name}`)
}

function copy(setup: Setup): Step {
  return {
    id: 'runtime.copy',
    title: 'What the jobs run is copied out of the checkout',
    async check(look) {
      const at = places(look)
      const facts = await look.stat(at.current)
      if (facts?.target !== setup.version)
        return missed(
          facts ? `${tilde(look, at.current)} is of another version` : 'the copy that jobs run is not there yet',
          again,
        )
      if (!(await look.stat(`${at.current}/complete`))) return missed('the copy that jobs run is not complete', again)
      return (await look.read(at.node)) === `${setup.programs.node}\n`
        ? ok(`version ${setup.version}`)
        : missed('the copy that jobs run names another Node', again)
    },
    async apply(host) {
      const at = places(host)
      const whole = `${at.runtime}/${setup.version}`
      const half = `${whole}.new`
      await host.remove(half)
      await host.folder(half, platformOf(host).modes.copy)
      await Promise.all(copied.map((name) => host.copy(`${setup.checkout}/${name}`, `${half}/${name}`)))
      // In order: one may go into another.
      for (const { from, to } of await packages(host, setup.checkout)) await host.copy(from, `${half}${to}`)
      await host.write(`${half}/node`, `${setup.programs.node}\n`, 0o644)
      await host.write(`${half}/complete`, `${setup.version}\n`, 0o644)
      await host.remove(whole)
      await host.move(half, whole)
      const before = (await host.stat(at.current))?.target
      await host.link(setup.version, at.current)
      await keepCopies(host, [setup.version, before])
    },
    undone: 'The copy that the jobs ran is gone',
    async undo(host) {
      const at = places(host)
      for (const name of await host.list(at.runtime)) if (name !== 'state') await host.remove(`${at.runtime}/${name}`)
    },
  }
}

/** A Node that no other upgrade changes: the running one, which is new enough, or this would not run. */
function ownNode(machine: Machine): Step[] {
  const program = platformOf(machine).ownNode
  if (program === undefined) return []
  return [
    {
      id: 'runtime.node',
      title: 'The jobs have a Node of their own',
      async check(look) {
        const { code, stdout } = await look.query([program, '--version'])
        return code === 0 ? ok(stdout.trim()) : missed(`${program} is not there`, again)
      },
      async apply(host) {
        await host.folder(dirname(program), platformOf(host).modes.copy)
        await host.copy(process.execPath, program)
      },
      undone: 'The Node of the jobs is gone',
      undo: (host) => host.remove(dirname(dirname(program))),
      gone: (look) => absent(look, program),
    },
  ]
}

/** Folders and the copy that jobs run: a checkout moves, and ~/Documents is closed to jobs. */
export function runtime(machine: Machine, setup: Setup): Step[] {
  const at = places(machine)
  return [
    // uninstall.ts removes it last, since it holds the receipt and the backups
    { ...folder({ id: 'runtime.state', title: 'The state folder is private', path: at.state }), undo: undefined },
    folder({ id: 'runtime.logs', title: 'The logs folder is private', path: at.logs }),
    ...ownNode(machine),
    copy(setup),
  ]
}
