import { called, typed } from '../host/typed.ts'
import { renewLists } from '../people/store.ts'
import { jobPath, labels, places, platformOf } from '../platform/here.ts'
import { engineAddress } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import {
  bestFor,
  fits,
  gigabytes,
  loadModel,
  progress,
  pullModel,
  running,
  sameModel,
  suggestions,
  tags,
} from '../site/models.ts'
import { nodesToWarm } from '../site/nodes.ts'
import type { Setup } from '../site/setup.ts'
import { file, jobFileStep, service } from '../steps/resources.ts'
import { advice, type Check, missed, ok, type Step, skipped } from '../steps/step.ts'
import type { Part, Question } from './part.ts'

const base = (machine: Machine, setup: Setup) => `http://${engineAddress(machine, setup)}:${setup.settings.engine.port}`

/** A model's name, and what it takes on disk where that is known. */
const withSize = (name: string): string => {
  const known = suggestions.find((model) => model.name === name)
  return known ? `${name} (${gigabytes(known.bytes)})` : name
}

/** Of a model while no Ollama answers where it is to be. */
export const unseen = 'models are not seen yet, since Ollama does not answer'

function pulled(machine: Machine, setup: Setup, name: string): Step {
  return {
    id: `models.${name}`,
    title: `The model ${name} is on this machine`,
    keeps: 'models are valuable: `ollama rm` removes one',
    needs: ['ollama.service'],
    async check(look) {
      const list = await tags(look, engineAddress(machine, setup), setup.settings.engine.port)
      const found = list?.find((tag) => tag.name === name || tag.name === `${name}:latest`)
      if (found) return ok(`${(found.size / 1e9).toFixed(1)} GB`)
      return missed(list ? `${name} is not on this machine` : unseen, `${typed('warm')} ${name}`)
    },
    async apply(host) {
      await pullModel(host, base(machine, setup), name, progress(setup.progress ?? (() => {}), name))
      await loadModel(host, base(machine, setup), name)
      await renewLists(host, setup.settings)
    },
  }
}

const share = (part: number, whole: number): string => `${Math.round((100 * part) / whole)} %`

/** What the GPU does not hold the processor computes, which is many times slower. */
const fitting = (machine: Machine, setup: Setup): Check => ({
  id: 'models.fit',
  title: `The models that are loaded ${platformOf(machine).words.start} fit into this machine’s memory`,
  needs: ['ollama.service'],
  async check(look) {
    const at = [engineAddress(machine, setup), setup.settings.engine.port] as const
    const [all, loaded] = await Promise.all([tags(look, ...at), running(look, ...at)])
    if (!all || !loaded) return skipped(unseen)
    const wanted = all.filter(({ name }) => setup.settings.models.some((model) => sameModel(model, name)))
    const large = wanted.filter(({ size }) => !fits(size, machine.memory))
    const split = loaded.filter(({ size, size_vram: held }) => held !== undefined && held < size)
    const saw = [
      ...large.map(
        ({ name, size }) => `${name} takes ${gigabytes(size)} of ${gigabytes(machine.memory)}, and its context more`,
      ),
      ...split.map(({ name, size, size_vram: held = 0 }) => `of ${name} the GPU holds ${share(held, size)}`),
    ]
    return saw.length === 0
      ? ok(
          wanted.length === 0
            ? `none is loaded ${platformOf(machine).words.start}`
            : wanted.map(({ name }) => name).join(', '),
        )
      : advice(
          `${saw.join('; ')}: answers are many times slower, or none`,
          `Choose a smaller one (${typed('warm')} NAME, and models in settings.yaml), or a smaller context there.`,
        )
  },
})

function atLogin(machine: Machine, setup: Setup): Check[] {
  const at = places(machine)
  const file = platformOf(machine).jobFiles.filled(setup.jobs[labels(machine).warm] ?? '', {
    bin: `${at.current}/templates/bin`,
    logs: at.logs,
    state: at.state,
    node: setup.programs.node,
  })
  const edited = setup.answers.keepEdited.includes(jobPath(machine, labels(machine).warm))
  const job = service({
    id: 'models.service',
    title: `Models are loaded ${platformOf(machine).words.start}`,
    machine,
    job: file,
    receipt: setup.receipt,
    oneShot: true,
    keepEdited: edited,
  })
  if (setup.settings.models.length > 0 || nodesToWarm(setup.settings).length > 0) {
    return [
      jobFileStep({
        id: 'models.job',
        at: machine,
        job: file,
        receipt: setup.receipt,
        keepEdited: edited,
      }),
      job,
    ]
  }
  const gone: Step = {
    id: 'models.service',
    title: `No models are loaded ${platformOf(machine).words.start}, as the settings say`,
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
    keeps: `yours; ${called('uninstall')} --purge removes them`,
  })

/** What a gateway without an engine has at its nodes from the start. */
export const nodeModels: Part = {
  name: 'models',
  about: (machine, { settings }) => ({
    title: 'Models',
    what: `at hand at the nodes from ${platformOf(machine).words.startOn}`,
    where: nodesToWarm(settings)
      .map(({ name, models: there }) => `${name}: ${there.join(', ')}`)
      .join('; '),
  }),
  steps: atLogin,
}

/** Which models are there from the start. */
export const models: Part = {
  name: 'models',
  about: (machine, { settings }) => ({
    title: 'Models',
    what:
      settings.models.length > 0
        ? `at hand from ${platformOf(machine).words.startOn}`
        : `none is loaded ${platformOf(machine).words.start}`,
    where: settings.models.map(withSize).join(', '),
  }),
  steps: (machine, setup) => [
    ...setup.settings.models.map((name) => pulled(machine, setup, name)),
    // A model that cannot be had must not stand in them.
    settingsFile(machine, setup),
    ...atLogin(machine, setup),
  ],
  checks: (machine, setup) => [fitting(machine, setup)],
  async questions(look, machine, setup): Promise<Question[]> {
    const known = (await look.read(places(machine).settings)) !== undefined
    if (known || setup.settings.models.length > 0) return []
    const choices = suggestions
      .filter((model) => fits(model.bytes, machine.memory))
      .map((model) => ({
        value: model.name,
        name: `${withSize(model.name)}: ${model.what}`,
        short: withSize(model.name),
      }))
    const text = `Which model? (this machine has ${Math.round(machine.memory / 1024 ** 3)} GB of memory)`
    return [{ id: 'models', kind: 'model', text, choices, initial: bestFor(machine.memory) }]
  },
}
