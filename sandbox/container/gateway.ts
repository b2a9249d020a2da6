import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { realLook } from '../../lib/host/host.ts'
import { packages } from '../../lib/parts/runtime.ts'
import { bundle, checkout } from '../box/paths.ts'
import type { Engine } from './engine.ts'

/** What a person has who has fetched the project, and two engines on the containers' network. */
export interface Project {
  /** where the checkout lies, as `remote-ollama-proxy` */
  above: string
  /** the folder of compose.yaml */
  folder: string
  /** how engines behave from now on, by the stand-in's faults */
  faults(node: string, faults: object): void
  remove(): void
}

const node = (name: string): string => `  ${name}:
    image: debian:13-slim
    environment: { BOX: /box, HOME: /tmp, OLLAMA_HOST: "0.0.0.0:11434" }
    volumes: ["./nodes/${name}:/box"]
    stop_signal: SIGKILL
    command: ["node", "/box/standins.mjs", "ollama", "serve"]
`

/** Lays out the project as it is fetched, and a base image that has its packages, since none can be fetched from within. */
export async function fetched(engine: Engine, nodes: string[]): Promise<Project> {
  const above = mkdtempSync(join(tmpdir(), 'project-'))
  const root = join(above, 'remote-ollama-proxy')
  for (const name of [
    'lib',
    'templates',
    'package.json',
    'package-lock.json',
    'rop.ts',
    'observer.ts',
    'warm-models.ts',
  ])
    cpSync(join(checkout, name), join(root, name), { recursive: true })
  const base = join(above, 'base')
  for (const { from, to } of await packages(realLook(), checkout)) {
    mkdirSync(dirname(`${base}${to}`), { recursive: true })
    cpSync(from, `${base}${to}`, { recursive: true })
  }
  writeFileSync(join(base, 'Dockerfile'), 'FROM debian:13-slim\nCOPY node_modules /project/node_modules\n')
  const built = await engine.docker('build', '-q', '-t', 'debian:13-slim', base)
  if (built.code !== 0) throw new Error(`the base image was not built: ${built.stderr}`)
  const folder = join(root, 'templates/container')
  for (const name of nodes) cpSync(await bundle(), join(folder, 'nodes', name), { recursive: true })
  if (nodes.length > 0) writeFileSync(join(folder, 'compose.override.yaml'), `services:\n${nodes.map(node).join('')}`)
  return {
    above,
    folder,
    faults: (name, faults) => writeFileSync(join(folder, 'nodes', name, 'ollama-faults.json'), JSON.stringify(faults)),
    remove: () => rmSync(above, { recursive: true, force: true }),
  }
}
