import type { Host, Look } from '../../host/host.ts'
import type { Job, JobFile, JobFiles, Jobs, Somebody } from '../platform.ts'
import { labels, places } from './places.ts'

/** s that a job has to end before it is killed; compose.yaml gives all of them as long. */
const endsWithin = 30

const jobFile = (label: string, text: string): JobFile => ({
  label,
  text,
  endsWithin,
  variable: (name) => new RegExp(`^export ${name}='(.*)'$`, 'm').exec(text)?.[1]?.replaceAll(`'\\''`, `'`),
})

const path = (home: string, label: string): string => `${places(home).agents}/${label}.job`

/** The label that a template is for stands in its first line. */
const labelOf = (template: string): string => /^# (\S+):/.exec(template)?.[1] ?? ''

/** A job is a shell script that becomes its program; a file is all that its keeper (templates/container/start) wants. */
export const jobFiles: JobFiles = {
  path,
  filled: (template, values) =>
    jobFile(
      labelOf(template),
      template.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name]?.replaceAll(`'`, `'\\''`) ?? whole),
    ),
  async written(look, label) {
    const text = await look.read(path(look.home, label))
    return text === undefined ? undefined : jobFile(label, text)
  },
  lacks: () => [],
}

/** What its keeper writes down of a job while it runs: its process, and the script that it was started with. */
const noted = (look: Look, label: string, what: 'pid' | 'script' | 'exit') =>
  look.read(`${places(look.home).run}/${label}.${what}`)

/** The process of a job while it lives. */
async function processOf(look: Look, label: string): Promise<number | undefined> {
  const pid = Number(await noted(look, label, 'pid'))
  return pid > 0 && (await look.stat(`/proc/${pid}`)) ? pid : undefined
}

async function job(look: Look, label: string): Promise<Job | undefined> {
  const file = path(look.home, label)
  const pid = await processOf(look, label)
  if (pid === undefined && !(await look.stat(file))) return undefined
  const script = await noted(look, label, 'script')
  const exit = (await noted(look, label, 'exit'))?.trim()
  return {
    state: pid === undefined ? 'not running' : 'running',
    path: file,
    ...(pid === undefined ? {} : { pid }),
    ...(exit ? { lastExit: Number(exit) } : {}),
    arguments: ((await look.read(`/proc/${pid}/cmdline`).catch(() => undefined)) ?? '').split('\0').filter(Boolean),
    unlike: ({ text }) => (pid === undefined || script === text ? [] : ['arguments']),
  }
}

/** Its keeper starts it again, by the file as it is then. */
async function end(host: Host, label: string, waitMs: number): Promise<void> {
  const pid = await processOf(host, label)
  if (pid === undefined) return
  await host.run(['kill', `${pid}`], { codes: [0, 1] })
  const ended = async () => (await processOf(host, label)) !== pid
  if (!(await host.until(`${label} has ended`, waitMs, ended)))
    throw new Error(`${label} is still shutting down after ${waitMs / 1000} s; run again in a minute.`)
}

const restarts = 'docker restart ai-gateway'

/** The jobs of the container's own keeper, which starts whatever has a file, and again when it ends. */
export const jobs = (_who: Somebody): Jobs => ({
  shown: '',
  target: (label) => label,
  job,
  async loaded(look) {
    const found = await Promise.all(
      Object.values(labels).map(async (label) => ((await processOf(look, label)) ? [label] : [])),
    )
    return found.flat()
  },
  disabled: async () => false,
  load: async () => {},
  unload: end,
  isOurs: () => true,
  fileGone: (host, label) => end(host, label, endsWithin * 1000),
  restart: (host, label) => end(host, label, endsWithin * 1000),
  kick: async () => {},
  inherited: async () => [],
  told: async () => '',
  typed: {
    all: () => ({
      status: 'docker ps --filter name=ai-gateway',
      start: 'docker start ai-gateway',
      stop: 'docker stop ai-gateway',
      restart: restarts,
      logs: 'docker logs -f ai-gateway',
    }),
    stop: () => 'docker stop ai-gateway',
    restart: () => restarts,
    enable: () => 'docker start ai-gateway',
    forget: () => 'docker compose up -d',
    reads: () => 'docker logs --tail 20 ai-gateway',
    note: '',
  },
})
