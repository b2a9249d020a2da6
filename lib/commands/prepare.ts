import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exitCodes, Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { programsOf } from '../parts/programs.ts'
import { runtimeVersion } from '../parts/runtime.ts'
import { readRegistry } from '../people/given.ts'
import { jobPath, labels, places, platformOf } from '../platform/here.ts'
import { settingsText } from '../site/given.ts'
import { noKeys } from '../site/limits.ts'
import { type Machine, survey } from '../site/machine.ts'
import type { Mode } from '../site/receipt.ts'
import { readKinds } from '../site/service-kinds.ts'
import { parseSettings, settingsFile } from '../site/settings.ts'
import { noAnswers, type Setup } from '../site/setup.ts'
import { currentReceipt } from '../steps/receipt.ts'
import type { Ui } from './cli.ts'

/** The project's folder, wherever the checkout (or its copy) lies. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

export interface Prepared {
  machine: Machine
  setup: Setup
}

/** Reads settings, receipt, templates and the machine. Throws `Stop` (exit 2) on faulty settings, before anything else. */
export async function prepare(
  look: Look,
  ui: Ui,
  options: { config?: string; mode?: Mode; before?: Machine; withoutKeys?: boolean } = {},
): Promise<Prepared> {
  const file = options.config ?? settingsFile(look)
  const template = await defaultSettings(look)
  const written = await settingsText(look, file)
  if (written === undefined && options.config !== undefined)
    throw new Stop(exitCodes.usage, `The settings file ${file} is not there; nothing was changed.`)
  const text = written ?? template
  const kinds = await readKinds(look, `${checkout}/templates/services`)
  const settings = parseSettings(text, file, kinds)
  const registry = options.withoutKeys ? noKeys : await readRegistry(look)
  const receipt = await currentReceipt(look)
  const machine = await survey(look, options.before)
  const setup: Setup = {
    settings,
    settingsText: text,
    defaults: template,
    receipt,
    registry,
    mode: options.mode ?? receipt.mode,
    answers: { ...noAnswers, keepEdited: [] },
    templates: await templates(look),
    kinds,
    jobs: await jobTemplates(look),
    checkout,
    version: await runtimeVersion(look, checkout),
    attended: ui.attended,
    programs: await programsOf(look, machine, receipt),
  }
  return { machine, setup }
}

/** The settings with every default, as they are shipped. */
export const defaultSettings = async (look: Look): Promise<string> =>
  (await look.read(`${checkout}/templates/settings.yaml`)) ?? ''

async function templates(look: Look): Promise<Setup['templates']> {
  const read = async (name: string) => (await look.read(`${checkout}/templates/${name}`)) ?? ''
  return { config: await read('haproxy.cfg'), frontend: await read('frontend.cfg') }
}

async function jobTemplates(look: Look): Promise<Record<string, string>> {
  const { packetFilter, virtualRouter } = platformOf(look)
  const units = [packetFilter, virtualRouter].flatMap((one) => one?.unit ?? [])
  const pairs = [...Object.values(labels(look)), ...units].map(
    async (label) =>
      [label, (await look.read(`${checkout}/templates/${basename(jobPath(look, label))}`)) ?? ''] as const,
  )
  return Object.fromEntries(await Promise.all(pairs))
}

/** Whether anything of ours is installed. */
export const installed = async (look: Look): Promise<boolean> => (await look.stat(places(look).receipt)) !== undefined
