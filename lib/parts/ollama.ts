import { engineLoad, setDraining } from '../haproxy/runtime.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { jobPath, jobsOf, labels, listeners, places, platformOf } from '../platform/here.ts'
import type { JobFile } from '../platform/platform.ts'
import { atLeast, versionNumbers } from '../platform/versions.ts'
import { askEngine, engineAddress, engineJob, minimumVersion, ownVersion } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import { modelsFolder, spell } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { jobFileStep, packaged, service } from '../steps/resources.ts'
import { advice, again, type Check, type Finding, missed, ok, type Step } from '../steps/step.ts'
import { awaitIdle } from './drain.ts'
import { folderThere } from './models-folder.ts'
import { engineChecks } from './ollama-checks.ts'
import { asTyped, named, others, remedyFor, stopOthers } from './other-ollamas.ts'
import type { Part, Question } from './part.ts'

async function answers(look: Look, machine: Machine, setup: Setup, pid: number): Promise<Finding> {
  const version = await askEngine(look, machine, setup, '/api/version')
  if (version.status !== 200)
    return missed(
      `process ${pid} does not answer /api/version (${version.error ?? version.status})`,
      `See ${jobsOf(machine).typed.reads(labels(machine).engine, `${places(machine).logs}/ollama.log`)}`,
    )
  const mine = (await listeners(look, setup.settings.engine.port)).filter((fact) => fact.pid === pid)
  if (mine.length === 0)
    return missed(
      `the answer comes from another program than process ${pid}`,
      `Stop the other Ollama and run ${called('install')} again.`,
    )
  const { version: running } = JSON.parse(version.body) as { version: string }
  const { stdout } = await look.query([...ownVersion, setup.programs.ollama, '--version'])
  const installed = /\d+(\.\d+)+/.exec(stdout)?.[0]
  // After an upgrade the old process lacks the files that it starts its runners from (ollama/ollama#11694).
  if (installed && installed !== running) return missed(`Ollama ${running} runs, and ${installed} is installed`, again)
  return ok(`Ollama ${running}, process ${pid}`)
}

/** Gives running answers their time; what is left is named and cut only when a person says so. */
async function drain(host: Host, setup: Setup): Promise<void> {
  if ((await engineLoad(host)) === undefined) return
  await setDraining(host, true)
  const left = await awaitIdle(host, setup)
  if (left === 0 || setup.answers.cutStreams) return
  if (
    setup.confirm &&
    (await setup.confirm(
      `${left} answer(s) still run after ${spell(setup.settings.drain)}. Cut them and restart Ollama?`,
    ))
  )
    return
  throw new Stop(
    5,
    `Ollama was not restarted: ${left} answer(s) still run; run ${called('install')} again when they are done.`,
  )
}

function engineService(machine: Machine, setup: Setup, job: JobFile): Step {
  const base = service({
    id: 'ollama.service',
    title: 'Ollama runs as written and answers',
    machine,
    job,
    receipt: setup.receipt,
    keepEdited: setup.answers.keepEdited.includes(jobPath(machine, labels(machine).engine)),
    answers: (look, pid) => answers(look, machine, setup, pid),
    beforeStop: (host) => drain(host, setup),
  })
  return {
    ...base,
    interactive: true,
    needs: ['ollama.package', 'ollama.models-folder', 'ollama.alone'],
    async check(look) {
      const finding = await base.check(look)
      if (finding.is !== 'missed') return finding
      // What holds the port is why it does not run, or not as written.
      const found = (await others(look, machine, setup.settings)).filter(({ holds }) => holds.length > 0)
      return found.length === 0
        ? finding
        : missed(
            `${finding.saw}; in the way is ${named(found)}`,
            remedyFor(found, `Run ${called('install')} --stop-other-ollama.`),
          )
    },
    apply: (host) => base.apply(host).finally(() => setDraining(host, false).catch(() => {})),
  }
}

function alone(machine: Machine, setup: Setup): Step {
  return {
    id: 'ollama.alone',
    ahead: true,
    title: 'No other Ollama is in the way',
    async check(look) {
      const found = await others(look, machine, setup.settings)
      return found.length === 0
        ? ok('none')
        : missed(named(found), remedyFor(found, `Run ${called('install')} --stop-other-ollama, or stop it yourself.`))
    },
    async apply(host) {
      const found = await others(host, machine, setup.settings)
      const own = remedyFor(found, '')
      if (own !== '') throw new Stop(exitCodes.precondition, `Another Ollama is in the way (${named(found)}): ${own}`)
      if (!setup.answers.stopOther)
        throw new Stop(
          setup.attended ? exitCodes.declined : exitCodes.precondition,
          `Another Ollama is in the way (${named(found)}); stop it, or run ${called('install')} --stop-other-ollama.`,
        )
      await stopOthers(host, machine, setup, found)
    },
    settlesWithin: 15_000,
  }
}

function leaks(machine: Machine, { settings }: Setup): Check {
  const names = [
    'OLLAMA_HOST',
    'OLLAMA_ORIGINS',
    'OLLAMA_MODELS',
    'OLLAMA_DEBUG_LOG_REQUESTS',
    'OLLAMA_REMOTES',
    'OLLAMA_NO_CLOUD',
  ]
  return {
    id: 'ollama.environment',
    title: 'No OLLAMA_ setting leaks in from the session',
    async check(look) {
      const jobs = jobsOf(machine)
      const folder = modelsFolder(settings, machine)
      const set = (await jobs.inherited(look, names)).filter(
        ([name, value]) => name !== 'OLLAMA_MODELS' || value !== folder,
      )
      const origins = set.find(
        ([name, value]) =>
          name === 'OLLAMA_ORIGINS' && value.split(',').some((part) => part !== '*' && !part.includes('://')),
      )
      if (origins)
        return missed(
          `OLLAMA_ORIGINS=${origins[1]} has an entry without scheme, at which Ollama crashes`,
          jobs.typed.forget('OLLAMA_ORIGINS'),
        )
      if (set.length === 0) return ok('none set')
      return advice(
        `${set.map(([name]) => name).join(', ')}: set for the whole session, and so for Ollama`,
        `${jobs.typed.forget(set[0]?.[0] ?? '')}   (our job’s file overrules only what it names)`,
      )
    },
  }
}

/** The engine, on loopback. */
export const ollama: Part = {
  name: 'ollama',
  about: (machine, setup) => ({
    title: 'Ollama',
    what:
      setup.mode === 'exposed'
        ? 'answers your whole tailnet, unprotected, deletion included'
        : 'answers, on this machine only',
    where: `${engineAddress(machine, setup)}:${setup.settings.engine.port}`,
  }),
  steps(machine, setup) {
    const minimum = minimumVersion
    const { packages } = platformOf(machine)
    const job = engineJob(machine, setup, setup.programs.ollama)
    const edited = setup.answers.keepEdited.includes(jobPath(machine, labels(machine).engine))
    return [
      packaged({
        name: 'ollama',
        title: `Ollama ${minimum.join('.')} or newer is installed`,
        machine,
        attended: setup.attended,
        program: [setup.programs.ollama],
        before: ownVersion,
        enough: (version) =>
          atLeast(versionNumbers(version), minimum)
            ? undefined
            : `too old for the open groups, which need ${minimum.join('.')}`,
        upgrade: setup.programs.ollama === packages.bundled.ollama ? packages.bundled.upgrade : undefined,
        keeps: `you may want it without the gateway; \`${packages.typed(machine.packager, 'uninstall', 'ollama')}\` removes it`,
      }),
      folderThere(machine, setup),
      alone(machine, setup),
      leaks(machine, setup),
      jobFileStep({
        id: 'ollama.job',
        at: machine,
        job,
        receipt: setup.receipt,
        keepEdited: edited,
      }),
      engineService(machine, setup, job),
    ]
  },
  checks: engineChecks,
  async questions(look, machine, setup): Promise<Question[]> {
    const found = await others(look, machine, setup.settings)
    if (found.length === 0 || setup.answers.stopOther || remedyFor(found, '') !== '') return []
    const text = `Another Ollama is in the way (${named(found)}). Stop it? It can be brought back: ${found.map((other) => asTyped(other.back)).join('; ')}`
    return [{ id: 'stopOther', kind: 'confirm', text, initial: false }]
  },
}
