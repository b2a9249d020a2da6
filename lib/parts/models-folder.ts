import { dirname } from 'node:path'
import type { Look } from '../host/host.ts'
import { jobPath, jobsOf, labels, platformOf } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import { defaultModels, folder as folderName, modelsFolder } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { isForeign } from '../steps/receipt.ts'
import { tilde } from '../steps/resources.ts'
import { type Check, type Finding, missed, ok } from '../steps/step.ts'

const variable = 'OLLAMA_MODELS'

/** A folder of models that an Ollama here was told of, and by what. */
export interface Adopted {
  folder: string
  by: string
}

/** Where the models are that a person has, when neither the settings nor our job say it yet: by a job's file that was edited by hand, for the whole session, by another job, or in this terminal. */
export async function findModels(
  look: Look,
  machine: Machine,
  { settings, receipt }: Setup,
): Promise<Adopted | undefined> {
  if (settings.models_folder !== defaultModels) return undefined
  const { jobFiles, keepers } = platformOf(machine)
  const file = jobPath(machine, labels(machine).engine)
  const written = (await jobFiles.written(look, labels(machine).engine))?.variable(variable)
  const edited = written !== undefined && (await isForeign(look, receipt, file))
  if (written !== undefined) return edited ? adopted(machine, written, tilde(look, file)) : undefined
  const [session] = await jobsOf(machine).inherited(look, [variable])
  const jobs = await keepers.written(look, machine, /OLLAMA_MODELS/)
  const own = (await look.query(['printenv', variable])).stdout.trim()
  return (
    adopted(machine, session?.[1], 'a variable of the session, which is gone after a restart') ??
    jobs.map((job) => adopted(machine, job.variable(variable), job.keeper.who)).find((found) => found !== undefined) ??
    adopted(machine, own, 'a variable of this terminal')
  )
}

function adopted(machine: Machine, value: string | undefined, by: string): Adopted | undefined {
  const folder = folderName.safeParse(value?.replace(/(?<=.)\/+$/, ''))
  const found = folder.success ? folder.data : undefined
  return found && found !== modelsFolder({ models_folder: defaultModels }, machine) ? { folder: found, by } : undefined
}

/** A disk that is not connected leaves nothing where it was, and Ollama then lists no model, or does not start. */
export function folderThere(machine: Machine, setup: Setup): Check {
  const folder = modelsFolder(setup.settings, machine)
  return {
    id: 'ollama.models-folder',
    title: 'The folder of the models is there',
    exit: 3,
    check: async (look) => (await absentDisk(look, machine, folder)) ?? (await usable(look, folder)),
  }
}

const or = 'or set another folder in settings.yaml (models_folder)'

/** What is on the way to a folder and leads nowhere: a link whose end is gone, a disk that is not connected. */
async function absentDisk(look: Look, machine: Machine, folder: string): Promise<Finding | undefined> {
  for (const part of partsOf(folder)) {
    const facts = await look.stat(part)
    if (facts?.kind === 'link' && (await look.query(['test', '-e', part])).code !== 0) {
      const disk = platformOf(machine).diskOf(facts.target ?? '')
      return missed(
        `${tilde(look, part)} leads to ${facts.target}, which is not there`,
        disk ? `Connect the disk ${disk}, ${or}.` : `Remove the link (rm '${part}'), ${or}.`,
      )
    }
    const disk = platformOf(machine).diskOf(part)
    if (disk !== undefined && facts === undefined && platformOf(machine).diskOf(dirname(part)) === undefined)
      return missed(`the disk ${disk} is not connected, and the models are in ${folder}`, `Connect it, ${or}.`)
  }
  return undefined
}

/** The folder and those above it, the uppermost first. */
const partsOf = (folder: string): string[] => (folder === '/' ? [] : [...partsOf(dirname(folder)), folder])

/** Ollama makes what is missing, and writes there. */
async function usable(look: Look, folder: string): Promise<Finding> {
  const there = (await look.query(['test', '-e', folder])).code === 0
  if (!there) {
    const above = await nearest(look, folder)
    return (await may(look, above))
      ? ok(`${tilde(look, folder)}, which Ollama makes`)
      : missed(
          `${tilde(look, folder)} is not there, and ${above} may not be written`,
          `Make it (sudo mkdir -p '${folder}' && sudo chown $(id -un) '${folder}'), ${or}.`,
        )
  }
  if ((await look.query(['test', '-d', folder])).code !== 0)
    return missed(`${tilde(look, folder)} is not a folder`, `Set another folder in settings.yaml (models_folder).`)
  return (await may(look, folder))
    ? ok(tilde(look, folder))
    : missed(`${tilde(look, folder)} may not be written`, `sudo chown -R $(id -un) '${folder}'`)
}

const may = async (look: Look, folder: string): Promise<boolean> =>
  (await look.query(['test', '-r', folder, '-a', '-w', folder, '-a', '-x', folder])).code === 0

async function nearest(look: Look, folder: string): Promise<string> {
  const above = dirname(folder)
  return above === folder || (await look.query(['test', '-e', above])).code === 0 ? above : nearest(look, above)
}
