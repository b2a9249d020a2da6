import { getAt, type Look } from '../host/host.ts'
import { labels, places, platformOf } from '../platform/here.ts'
import type { JobFile } from '../platform/platform.ts'
import type { Machine } from './machine.ts'
import { contextLength, modelsFolder, spell } from './settings.ts'
import type { Setup } from './setup.ts'

/** The program: the app's own when the app is there, since both conflict; else the package's by its stable path. */
export async function engineProgram(look: Look, machine: Machine): Promise<string> {
  const { packages } = platformOf(machine)
  return (await look.find([packages.bundled.ollama])) ?? packages.program(machine.packager, 'ollama')
}

/** `ollama --version` asks whoever listens, and waits for one that never answers; nobody listens on port 1. */
export const ownVersion = ['env', 'OLLAMA_HOST=127.0.0.1:1']

/** The cloud can be switched off since 0.16.2, and the routes of every group are older (facts: macos.md §6.1, §6.4). */
export const minimumVersion = [0, 16, 2]

/** Where Ollama listens: loopback, or the tailnet address when the person chose to open it. */
export function engineAddress(machine: Machine, setup: Setup): string {
  return setup.mode === 'exposed' ? (machine.tailscale.ipv4 ?? '100.x.y.z') : '127.0.0.1'
}

/** The engine's job. */
export function engineJob(machine: Machine, setup: Setup, program: string): JobFile {
  const { settings } = setup
  const at = places(machine)
  const address = engineAddress(machine, setup)
  return platformOf(machine).jobFiles.filled(setup.jobs[labels(machine).engine] ?? '', {
    bin: `${at.current}/templates/bin`,
    ollama: program,
    host: `${address}:${settings.engine.port}`,
    context: `${contextLength(settings, machine.memory)}`,
    parallel: `${settings.inference.parallel}`,
    models: modelsFolder(settings, machine),
    keepAlive: spell(settings.keep_alive),
    logs: at.logs,
    waitsFor: setup.mode === 'exposed' ? address : '',
  })
}

/** Asks the engine itself, past the gateway. */
export const askEngine = (look: Look, machine: Machine, setup: Setup, target: string) =>
  getAt(look, { address: engineAddress(machine, setup), port: setup.settings.engine.port }, target)
