import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { jobPath, jobsOf, places, platformOf } from '../platform/here.ts'
import type { Job, JobFile, PackageKind, Somewhere } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Receipt } from '../site/receipt.ts'
import { isForeign, keepForeign, saveReceipt, writeOurs } from './receipt.ts'
import { advice, again, type Finding, missed, ok, type Step, skipped } from './step.ts'

export interface FileSpec {
  id: string
  title: string
  path: string
  text: string
  mode?: number
  receipt: Receipt
  /** the person wants their own version left as it is */
  keepEdited?: boolean
  keeps?: string
}

/** A file with exactly this text; another's or an edited one is copied to the backups first. */
export function file(spec: FileSpec): Step {
  const { mode = 0o600, receipt } = spec
  return {
    id: spec.id,
    title: spec.title,
    keeps: spec.keeps,
    async check(look) {
      const text = await look.read(spec.path)
      if (text === undefined) return missed(`${tilde(look, spec.path)} is missing`, again)
      if (text !== spec.text) {
        if (spec.keepEdited) return skipped(`${tilde(look, spec.path)} is left as edited by hand`)
        return differs(look, spec.path, text, spec.text)
      }
      const bits = (await look.stat(spec.path))?.mode
      if (bits !== mode)
        return missed(
          `${tilde(look, spec.path)} has mode ${bits?.toString(8)} instead of ${mode.toString(8)}`,
          `chmod ${mode.toString(8)} '${spec.path}'   (or run ${called('install')} again)`,
        )
      return ok(tilde(look, spec.path))
    },
    async apply(host) {
      // Where only the mode is wrong there is nothing to copy first.
      if ((await host.read(spec.path)) === spec.text) await host.write(spec.path, spec.text, mode)
      else await writeOurs(host, receipt, spec.path, spec.text, mode)
    },
    ...(spec.keeps
      ? {}
      : {
          undone: `${spec.path.split('/').at(-1)} is gone`,
          undo: (host: Host) => removeOurs(host, receipt, spec.path),
          gone: (look: Look) => absent(look, spec.path),
        }),
  }
}

/** A file that does not hold what it is to hold, with the first line that is another. */
export const differs = (look: Look, path: string, is: string, wanted: string): Finding =>
  missed(`${tilde(look, path)} differs from what the settings give`, again, [
    `${tilde(look, path)}:${firstDifference(is, wanted)}`,
  ])

/** The number of the first line that is another, and the line. */
function firstDifference(is: string, wanted: string): string {
  const [lines, others] = [is.split('\n'), wanted.split('\n')]
  const at = lines.findIndex((line, index) => line !== others[index])
  return at < 0 ? `${lines.length}: it ends too soon` : `${at + 1}: ${lines[at]?.trim().slice(0, 100)}`
}

/** A path as people write it. */
export const tilde = (look: { home: string }, file: string): string =>
  file.startsWith(`${look.home}/`) ? `~${file.slice(look.home.length)}` : file

/** Removes a file of ours; what was edited by hand is copied to the backups first. */
export async function removeOurs(host: Host, receipt: Receipt, file: string): Promise<void> {
  if (await isForeign(host, receipt, file)) await keepForeign(host, receipt, file)
  await host.remove(file)
  await forget(host, receipt, file)
}

/** Takes a path and what lies below it out of the receipt. */
export async function forget(host: Host, receipt: Receipt, place: string): Promise<void> {
  const below = (path: string) => path === place || path.startsWith(`${place}/`)
  for (const hashes of [receipt.files, receipt.before])
    for (const path of Object.keys(hashes).filter(below)) delete hashes[path]
  receipt.folders = receipt.folders.filter((path) => !below(path))
  await saveReceipt(host, receipt)
}

/** Whether a path is gone. */
export const absent = async (look: Look, file: string): Promise<Finding> =>
  (await look.stat(file))
    ? missed(`${tilde(look, file)} is still there`, `Run ${called('uninstall')} again.`)
    : ok(`${tilde(look, file)} is gone`)

/** A folder for us alone (0700 unless told). */
export function folder(spec: {
  id: string
  title: string
  path: string
  mode?: number
  keeps?: string
  removes?: string[]
}): Step {
  const { mode = 0o700 } = spec
  return {
    id: spec.id,
    title: spec.title,
    keeps: spec.keeps,
    async check(look) {
      const facts = await look.stat(spec.path)
      if (!facts) return missed(`${tilde(look, spec.path)} is missing`, again)
      if (facts.kind !== 'folder')
        return missed(`${tilde(look, spec.path)} is not a folder`, `Move it away: mv '${spec.path}' '${spec.path}.old'`)
      return facts.mode === mode
        ? ok(tilde(look, spec.path))
        : missed(`${tilde(look, spec.path)} has mode ${facts.mode.toString(8)} instead of ${mode.toString(8)}`, again)
    },
    apply: (host) => host.folder(spec.path, mode),
    ...(spec.keeps
      ? {}
      : {
          undone: `The folder ${(spec.removes?.[0] ?? spec.path).split('/').at(-1)} is gone`,
          async undo(host: Host) {
            for (const target of spec.removes ?? [spec.path]) await host.remove(target)
          },
          gone: (look: Look) => absent(look, spec.removes?.[0] ?? spec.path),
        }),
  }
}

export interface PackageSpec {
  name: string
  title: string
  kind?: PackageKind
  machine: Machine
  /** a person is there to type the password that a cask asks for */
  attended: boolean
  /** the program that shows it is there, and what it must print for its version to do */
  program: string[]
  /** words before the program, for one that would tell another program's version */
  before?: string[]
  enough?(version: string): string | undefined
  /** what makes it newer; the package manager unless told */
  upgrade?: string
  keeps: string
}

/** A package; one that meets its minimum is never upgraded. */
export function packaged(spec: PackageSpec): Step {
  const { machine, name, kind = 'formula' } = spec
  const { packager } = machine
  const { packages } = platformOf(machine)
  // A formula asks nothing; an app's installer asks for the password.
  const interactive = spec.attended && kind === 'cask'
  const upgrade = spec.upgrade ?? packages.typed(packager, 'upgrade', name)
  const check = async (look: Look): Promise<Finding> => {
    const program = await look.find(spec.program)
    if (!program) return missed(`${name} is not installed`, packages.installs(packager, name, kind))
    const { stdout, stderr } = await look.query([...(spec.before ?? []), program, '--version'])
    const version = /\d+(\.\d+)+/.exec(`${stdout} ${stderr}`)?.[0] ?? 'of unknown version'
    const fault = spec.enough?.(version)
    return fault ? missed(`${name} ${version}: ${fault}`, upgrade) : ok(`${name} ${version}, ${program}`)
  }
  return {
    id: `${name}.package`,
    title: spec.title,
    interactive,
    keeps: spec.keeps,
    brings: name,
    check,
    async apply(host) {
      const found = await check(host)
      if (found.is === 'missed' && (await host.find(spec.program)))
        throw new Stop(
          exitCodes.precondition,
          `${found.saw}; upgrade it (${upgrade}) and run ${called('install')} again.`,
        )
      await packages.install(host, packager, name, kind, interactive)
    },
  }
}

export interface ServiceSpec {
  id: string
  title: string
  machine: Machine
  job: JobFile
  receipt: Receipt
  /** what the job answers when it works, with its pid; polled after a start */
  answers?(look: Look, pid: number): Promise<Finding>
  /** before a running job is replaced; may throw to leave it undone */
  beforeStop?(host: Host): Promise<void>
  /** jobs that end by themselves need no pid */
  oneShot?: boolean
  /** the person keeps a file of the job edited by hand: the job is compared with that one */
  keepEdited?: boolean
}

/** A job that is loaded as written and answers: a pid alone proves nothing. */
export function service(spec: ServiceSpec): Step {
  const { machine } = spec
  const { label } = spec.job
  const jobs = jobsOf(machine)
  const stopMs = (spec.job.endsWithin + 10) * 1000
  const written = async (look: Look) =>
    (spec.keepEdited && (await platformOf(look).jobFiles.written(look, label))) || spec.job

  const lastLine = async (look: Look): Promise<string> =>
    ((spec.job.log && (await look.read(spec.job.log))) || '').trim().split('\n').at(-1)?.slice(0, 200) ?? ''

  const evidence = async (look: Look): Promise<string[]> => {
    const { log = '' } = spec.job
    const last = await lastLine(look)
    return [jobs.typed.all(label, log).status, ...(last ? [`${tilde(look, log)} ends with: ${last}`] : [])]
  }

  const check = async (look: Look): Promise<Finding> => {
    if (await jobs.disabled(look, label))
      return missed(`${label} is switched off`, enableAdvice(jobs.typed.enable(label)))
    const job = await jobs.job(look, label)
    if (!job) return missed(`${label} is not loaded`, again, await evidence(look))
    const unlike = job.unlike(await written(look))
    if (unlike.length > 0) return missed(`${label} runs with other ${unlike.join(', ')}`, again)
    if (job.pid === undefined)
      return spec.oneShot
        ? finished(job.lastExit, label)
        : missed(`${label} is ${job.state}, last exit ${job.lastExit ?? 'none'}`, again, await evidence(look))
    return (await spec.answers?.(look, job.pid)) ?? ok(`${label} runs as process ${job.pid}`)
  }

  /** A job that runs and does not answer may only be slow: it gets 10 s, and its streams their time, before it is restarted. */
  const revive = async (host: Host): Promise<void> => {
    if (await host.until(`${label} answers`, 10_000, async () => (await check(host)).is !== 'missed')) return
    await spec.beforeStop?.(host)
    await jobs.restart(host, label)
  }

  return {
    id: spec.id,
    title: spec.title,
    check,
    settlesWithin: 45_000,
    async apply(host) {
      if (await jobs.disabled(host, label)) throw switchedOff(label, jobs.typed.enable(label))
      const job = await jobs.job(host, label)
      const changed = job !== undefined && job.unlike(await written(host)).length > 0
      if (changed) {
        if (job.pid !== undefined) await spec.beforeStop?.(host)
        await jobs.unload(host, label, stopMs)
      }
      if (!job || changed) await jobs.load(host, label)
      else if (job.pid === undefined) await jobs.kick(host, label)
      else if (!spec.oneShot) await revive(host)
    },
    async stays(look, saw) {
      const { log } = spec.job
      const last = await lastLine(look)
      return {
        saw: last ? `${saw}; its log ends with: ${last}` : saw,
        remedy: `${log ? `Read why in its log (tail -n 20 '${log}'), mend that` : 'Mend that'}, and start it: ${jobs.typed.restart(label)}`,
      }
    },
    theirs: async (look) => foreignJob(look, spec.receipt, label, await jobs.job(look, label)),
    undone: `The job ${label} is stopped and gone`,
    async undo(host) {
      if (await jobs.job(host, label)) {
        await spec.beforeStop?.(host)
        await jobs.unload(host, label, stopMs)
      }
      await removeOurs(host, spec.receipt, jobPath(host, label))
      await jobs.fileGone(host, label)
    },
    async gone(look) {
      if (jobs.isOurs(label) && (await jobs.job(look, label)))
        return missed(`${label} is still loaded`, jobs.typed.stop(label))
      return absent(look, jobPath(look, label))
    },
  }
}

const finished = (code: number | undefined, label: string): Finding =>
  code === 0 || code === undefined
    ? ok(`${label} has done its work`)
    : advice(
        `${label} ended with ${code}, so the models may not be in memory`,
        `See its log; run ${called('warm')} by hand to see the reason.`,
      )

const switchedOff = (label: string, enable: string): Stop =>
  new Stop(1, `${label} is switched off (by you or in System Settings), so it stays off: ${enableAdvice(enable)}`)

const enableAdvice = (enable: string): string => `${enable}, then run ${called('install')} again`

/** The file of a service's job, as a file step; launchd refuses files that others may write, so 0644. */
export function jobFileStep(spec: {
  id: string
  at: Somewhere
  job: JobFile
  receipt: Receipt
  keepEdited?: boolean
}): Step {
  const { label } = spec.job
  const path = jobPath(spec.at, label)
  const step = file({
    id: spec.id,
    title: `${path.split('/').pop()} is written`,
    path,
    text: spec.job.text,
    mode: 0o644,
    receipt: spec.receipt,
    keepEdited: spec.keepEdited,
  })
  return { ...step, theirs: (look) => foreignFile(look, spec.receipt, path) }
}

/** Where our jobs' programs lie in every home folder. */
const ourPath = (at: Somewhere): string => `${places({ ...at, home: '' }).support}/`

/** A job's file that no install of ours wrote, by the receipt or by what only ours name; undefined when there is none. */
async function foreignFile(look: Look, receipt: Receipt, path: string): Promise<string | undefined> {
  const text = await look.read(path)
  if (text === undefined || path in receipt.files) return undefined
  return [ourPath(look), ...platformOf(look).oldLogs].some((name) => text.includes(name))
    ? undefined
    : `${tilde(look, path)} is not ours, so it stays`
}

/** The same for a job, which may be loaded without its file, or ours without a receipt. */
async function foreignJob(look: Look, receipt: Receipt, label: string, job?: Job): Promise<string | undefined> {
  if (job?.arguments.some((word) => word.includes(ourPath(look)))) return undefined
  const path = jobPath(look, label)
  if ((await look.stat(path)) || path in receipt.files) return foreignFile(look, receipt, path)
  return job && `the job ${label} is not ours, so it stays`
}
