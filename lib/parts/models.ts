import { jobPath, labels, places, platformOf } from '../platform/here.ts'
import { engineAddress } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import { loadModel, progress, pullModel, suggestions, tags } from '../site/models.ts'
import type { Setup } from '../site/setup.ts'
import { file, jobFileStep, service } from '../steps/resources.ts'
import { type Check, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part, Question } from './part.ts'

/** Two thirds of the memory can be wired for the GPU (llmfit#754), and the context needs its part. */
export const fits = (bytes: number, memory: number): boolean => bytes * 1.2 < memory * 0.66

const base = (machine: Machine, setup: Setup) => `http://${engineAddress(machine, setup)}:${setup.settings.engine.port}`

/** Of a model while no Ollama answers where it is to be. */
export const unseen = 'not seen yet, since Ollama does not answer'

function pulled(machine: Machine, setup: Setup, name: string): Step {
  return {
    id: `models.${name}`,
    title: `The model ${name} is on this machine`,
    keeps: 'models are valuable: `ollama rm` removes one',
    interactive: true,
    needs: ['ollama.service'],
    async check(look) {
      const list = await tags(look, engineAddress(machine, setup), setup.settings.engine.port)
      const found = list?.find((tag) => tag.name === name || tag.name === `${name}:latest`)
      if (found) return ok(`${(found.size / 1e9).toFixed(1)} GB`)
      return missed(list ? 'not yet' : unseen, `npx tsx warm-models.ts ${name}`)
    },
    async apply(host) {
      await pullModel(host, base(machine, setup), name, progress(setup.say ?? (() => {}), name))
      await loadModel(host, base(machine, setup), name)
    },
  }
}

function atLogin(machine: Machine, setup: Setup): Check[] {
  const at = places(machine)
  const file = platformOf(machine).jobFiles.filled(setup.jobs[labels.warm] ?? '', {
    bin: `${at.current}/templates/bin`,
    logs: at.logs,
    node: setup.programs.node,
  })
  const edited = setup.answers.keepEdited.includes(jobPath(machine, labels.warm))
  const job = service({
    id: 'models.service',
    title: 'Models are loaded at login',
    machine,
    job: file,
    receipt: setup.receipt,
    oneShot: true,
    keepEdited: edited,
  })
  if (setup.settings.models.length > 0) {
    return [
      jobFileStep({
        id: 'models.job',
        home: machine.home,
        job: file,
        receipt: setup.receipt,
        keepEdited: edited,
      }),
      job,
    ]
  }
  const gone: Step = {
    id: 'models.service',
    title: 'No models are loaded at login, as the settings say',
    check: async (look) => (await job.gone?.(look)) ?? skipped('nothing to see'),
    apply: async (host) => job.undo?.(host),
    undone: job.undone,
    undo: job.undo,
    gone: job.gone,
  }
  return [gone]
}

/** The annotated example where there are none yet; else as they are, but for what --model and --config say. */
const settingsFile = (machine: Machine, setup: Setup): Step =>
  file({
    id: 'settings.file',
    title: 'The settings are there',
    path: places(machine).settings,
    text: setup.settingsText,
    receipt: setup.receipt,
    keeps: 'yours; uninstall.ts --purge removes them',
  })

/** Which models are there from the start. */
export const models: Part = {
  name: 'models',
  steps: (machine, setup) => [
    ...setup.settings.models.map((name) => pulled(machine, setup, name)),
    // A model that cannot be had must not stand in them.
    settingsFile(machine, setup),
    ...atLogin(machine, setup),
  ],
  async questions(look, machine, setup): Promise<Question[]> {
    const known = (await look.read(places(machine).settings)) !== undefined
    if (known || setup.settings.models.length > 0) return []
    const choices = suggestions
      .filter((model) => fits(model.bytes, machine.memory))
      .map((model, at) => ({
        value: model.name,
        name: `${model.name} (${(model.bytes / 1e9).toFixed(1)} GB, ${model.what})`,
        checked: at === 0,
      }))
    return choices.length ? [{ id: 'models', kind: 'choose', text: 'Models to load at login', choices }] : []
  },
}
