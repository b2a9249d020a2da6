import { z } from 'zod'
import { exitCodes, json, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { runtimeVersion } from './runtime.ts'

/** Another version of ours, unpacked and with its packages. */
export interface Own {
  folder: string
  /** the name of the copy that it would make: version and hash; without the hash where a package is only looked at */
  version: string
}

/** The version of ours that runs here. */
export const ownNow = async (look: Look): Promise<string> => (await look.stat(places(look).current))?.target ?? 'none'

/** Finds another version of ours in a folder or in a package of npm's, which npm unpacks with what it needs, unless it is only looked at. Throws `Stop` (exit 2) for anything else. */
export async function ownFrom(host: Host, path: string, looked = false): Promise<Own> {
  const facts = (await host.stat(`${path}/.`)) ?? (await host.stat(path))
  const packed = facts?.kind === 'file'
  const manifest = packed
    ? (await host.query(['tar', '-xzOf', path, 'package/package.json'])).stdout
    : await host.read(`${path}/package.json`)
  const { name, version } = (json(manifest || '{}') ?? {}) as { name?: string; version?: string }
  if (name !== product)
    throw new Stop(
      exitCodes.usage,
      `${path} is neither a folder of ${product} nor a package of it (.tgz). Nothing was changed.`,
    )
  if (packed && looked) return { folder: path, version: version ?? '0' }
  const folder = packed ? await unpacked(host, path) : path.replace(/\/+$/, '')
  if (!packed && (await host.stat(`${folder}/node_modules`)) === undefined)
    throw new Stop(
      exitCodes.usage,
      `${folder} has no packages yet; run \`npm ci --omit=dev\` in it first. Nothing was changed.`,
    )
  return { folder, version: await runtimeVersion(host, folder) }
}

const product = 'remote-ollama-proxy'

const incoming = (look: Look): string => `${places(look).state}/incoming`

/** Removes what was unpacked. */
export const tidy = (host: Host): Promise<void> => host.remove(incoming(host))

async function unpacked(host: Host, file: string): Promise<string> {
  const folder = incoming(host)
  await host.remove(folder)
  await host.folder(folder)
  const quietly = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save']
  await host.run(['npm', '--prefix', folder, 'install', ...quietly, file]).catch((error: Error) => {
    throw new Stop(
      exitCodes.precondition,
      `npm could not unpack ${file} with what it needs (${error.message}); look at the network and run again. Nothing was changed.`,
    )
  })
  return `${folder}/node_modules/${product}`
}

/** How an install of another version ended: its exit code, and what it missed or said. */
export interface Ended {
  code: number
  missed: { id: string; title: string; saw: string }[]
  error?: string
}

const result = z.object({ id: z.string(), title: z.string(), state: z.string(), saw: z.string() })
const document = z.object({ proof: z.array(result).default([]), error: z.string().optional() })

/** Has a version of ours install itself, by its own steps and with its own proof. */
export async function installItself(host: Host, folder: string): Promise<Ended> {
  const codes = Object.values(exitCodes)
  const argv = [`${folder}/templates/bin/rop`, 'install', '--yes', '--json']
  const { code, stdout } = await host.run(argv, { codes })
  const said = document.safeParse(json(stdout)).data
  const missed = said?.proof.filter(({ state }) => state === 'missed') ?? []
  return { code, missed, error: said?.error }
}

/** The copy of an earlier version of ours, while it is kept. */
export const copyOf = (look: Look, version: string): string => `${places(look).runtime}/${version}`
