import { build, parse } from 'plist'
import { Unexpected } from '../../host/command.ts'
import type { Job, JobFile, JobFiles, Jobs, Somebody } from '../platform.ts'
import { places } from './places.ts'
import { withoutVariables } from './told.ts'

/** A LaunchAgent's property list, as far as our jobs use it (launchd.plist(5)). */
export interface Agent {
  Label: string
  ProgramArguments: string[]
  EnvironmentVariables?: Record<string, string>
  Program?: string
  Disabled?: boolean
  RunAtLoad?: boolean
  KeepAlive?: boolean
  ProcessType?: string
  ExitTimeOut?: number
  SoftResourceLimits?: { NumberOfFiles: number }
  StandardOutPath?: string
  StandardErrorPath?: string
}

/** What `launchctl print` tells of a job. */
export interface Printed extends Omit<Job, 'unlike'> {
  environment: Record<string, string>
  properties: string[]
  spawnType?: string
  exitTimeOut?: number
  maxFiles?: number
}

/** A property list from a template: `{{name}}` in its texts is replaced after parsing, so no value can change its structure. */
export function fillAgent(template: string, values: Record<string, string>): Agent {
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole)
    if (Array.isArray(value)) return value.map(fill)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]))
  }
  const agent = fill(parse(template)) as Agent
  // launchctl prints no variable without a value, so one could never be found as written.
  const environment = Object.entries(agent.EnvironmentVariables ?? {}).filter(([, value]) => value !== '')
  return agent.EnvironmentVariables ? { ...agent, EnvironmentVariables: Object.fromEntries(environment) } : agent
}

export const agentFile = (home: string, label: string): string => `${places(home).agents}/${label}.plist`

/** The text of a property list; keys without a value are dropped. */
export const agentText = (agent: Agent): string => `${build({ ...agent })}\n`

/** Reads a property list; undefined when it is none. */
export function parseAgent(text: string): Agent | undefined {
  const complain = console.error
  // The parser also writes to the console what it throws.
  console.error = () => {}
  try {
    const value = parse(text) as unknown
    return typeof value === 'object' && value !== null && 'Label' in value ? (value as Agent) : undefined
  } catch {
    return undefined
  } finally {
    console.error = complain
  }
}

/** Reads `launchctl print DOMAIN/LABEL`: lines indented by one tab, since sub-blocks repeat the same words. */
export function parsePrint(text: string): Printed {
  const value = (key: string) => new RegExp(`^\\t${key} = (.*)$`, 'm').exec(text)?.[1]
  const number = (key: string) => {
    const found = /^-?\d+/.exec(value(key) ?? '')?.[0]
    return found === undefined ? undefined : Number(found)
  }
  const pairs = block(text, 'environment').map((line) => line.split(' => ') as [string, string?])
  return {
    state: value('state') ?? 'unknown',
    path: value('path'),
    pid: number('pid'),
    lastExit: number('last exit code'),
    runs: number('runs'),
    arguments: block(text, 'arguments'),
    environment: Object.fromEntries(pairs.map(([name, ...rest]) => [name, rest.join(' => ')])),
    properties: (value('properties') ?? '').split(' | ').filter(Boolean),
    spawnType: value('spawn type'),
    exitTimeOut: number('exit timeout'),
    maxFiles: Number(/maxfiles \(soft\) => (\d+)/.exec(text)?.[1]) || undefined,
  }
}

/** Names of the jobs that run, by their processes, from `launchctl print DOMAIN`: rows of pid, last exit and label. */
export function parseServices(text: string): Map<number, string> {
  const rows = block(text, 'services').map((line) => /^\s*(\d+)\s+\S+\s+(\S.*)$/.exec(line))
  return new Map(rows.flatMap((row) => (row && row[1] !== '0' ? [[Number(row[1]), row[2] ?? '']] : [])))
}

function block(text: string, name: string): string[] {
  const body = new RegExp(`^\\t${name} = \\{\\n([\\s\\S]*?)^\\t\\}`, 'm').exec(text)?.[1] ?? ''
  return body
    .split('\n')
    .map((line) => line.replace(/^\t\t/, ''))
    .filter((line) => line !== '')
}

/** The file, with what is asked of it. */
const jobFile = (agent: Agent): JobFile => ({
  label: agent.Label,
  text: agentText(agent),
  endsWithin: agent.ExitTimeOut ?? 5,
  log: agent.StandardErrorPath,
  variable: (name) => agent.EnvironmentVariables?.[name],
})

function lacks({ text }: JobFile): string[] {
  const { RunAtLoad, KeepAlive, ProcessType } = parseAgent(text) ?? {}
  return [
    ...(RunAtLoad === true ? [] : ['RunAtLoad']),
    ...(KeepAlive === true ? [] : ['KeepAlive']),
    ...(ProcessType === 'Interactive' ? [] : ['ProcessType Interactive']),
  ]
}

export const jobFiles: JobFiles = {
  path: agentFile,
  filled: (template, values) => jobFile(fillAgent(template, values)),
  async written(look, label) {
    const text = await look.read(agentFile(look.home, label))
    const agent = text === undefined ? undefined : parseAgent(text)
    return agent && jobFile(agent)
  },
  lacks,
}

const jobOf = (printed: Printed): Job => ({
  ...printed,
  unlike({ text }) {
    const agent = parseAgent(text)
    return agent ? differences(agent, printed) : []
  },
})

/** launchctl for one user's desktop session. Exit codes: 113 no such service, 3 no such process, 5 busy or refused, 125 no such domain (facts: `launchctl error N`). */
export function jobs({ home, uid }: Somebody): Jobs {
  const domain = `gui/${uid}`
  const target = (label: string) => `${domain}/${label}`

  const job: Jobs['job'] = async (look, label) => {
    const { code, stdout, stderr } = await look.query(['launchctl', 'print', target(label)])
    if (code === 0) return jobOf(parsePrint(stdout))
    if ([112, 113, 125, 127].includes(code)) return undefined
    throw new Unexpected(['launchctl', 'print', target(label)], { code, stdout, stderr })
  }

  /** On macOS 12+ bootout returns before the process is dead, and bootstrap then answers 5 (DeterminateSystems/nix-installer, openclaw). */
  const unload: Jobs['unload'] = async (host, label, waitMs) => {
    await host.run(['launchctl', 'bootout', target(label)], { codes: [0, 3, 5, 36, 113, 125] })
    const left = await host.until(`${label} has ended`, waitMs, async () => !(await job(host, label)))
    if (!left) throw new Error(`${label} is still shutting down after ${waitMs / 1000} s; run again in a minute.`)
  }

  const load: Jobs['load'] = async (host, label) => {
    const bootstrap = ['launchctl', 'bootstrap', domain, agentFile(home, label)]
    let last = { code: 0, stdout: '', stderr: '' }
    const loaded = await host.until(`${label} is loaded`, 10_000, async () => {
      last = await host.run(bootstrap, { codes: [0, 5, 17, 36, 37] })
      if (last.code === 0) return true
      return (await job(host, label))?.path === agentFile(home, label)
    })
    if (!loaded) throw new Unexpected(bootstrap, last)
    // Rarely a loaded job is not started (openbase-community/openbase#15); a kick that is not needed does nothing.
    const started = await host.until(
      `${label} has started`,
      5000,
      async () => ((await job(host, label))?.runs ?? 0) > 0,
    )
    if (!started) await host.run(['launchctl', 'kickstart', target(label)], { codes: [0, 37] })
  }

  return {
    target,
    job,
    async loaded(look) {
      const { stdout } = await look.query(['launchctl', 'list'])
      return stdout.split('\n').flatMap((line) => line.split('\t')[2] ?? [])
    },
    async inherited(look, names) {
      const values = names.map(
        async (name) => [name, (await look.query(['launchctl', 'getenv', name])).stdout.trim()] as [string, string],
      )
      return (await Promise.all(values)).filter(([, value]) => value !== '')
    },
    shown: 'macOS will show "Background Items Added" (haproxy-gateway …): they are ours.',
    told: async (look, label) => withoutVariables((await look.query(['launchctl', 'print', target(label)])).stdout),
    typed: {
      all: (label, log) => jobCommands(uid, home, label, log),
      stop: (label) => `launchctl bootout ${target(label)}`,
      restart: (label) => `launchctl kickstart -k ${target(label)}`,
      enable: (label) => `launchctl enable ${target(label)}   (or System Settings > General > Login Items)`,
      reads: (_label, log) => log.replace(home, '~'),
      forget: (name) => `launchctl unsetenv ${name}`,
      note: 'launchctl stop takes a bare label, and KeepAlive starts the job again at once; so stopping is bootout.',
    },
    load,
    unload,
    isOurs: () => true,
    fileGone: async () => {},
    async disabled(look, label) {
      const { stdout } = await look.query(['launchctl', 'print-disabled', domain])
      return new RegExp(`"${label.replaceAll('.', '\\.')}" => (disabled|true)`).test(stdout)
    },
    restart: async (host, label) => void (await host.run(['launchctl', 'kickstart', '-k', target(label)])),
    kick: async (host, label) => void (await host.run(['launchctl', 'kickstart', target(label)], { codes: [0, 37] })),
  }
}

/** The commands a person types for one job; each is run by a story. */
function jobCommands(uid: number, home: string, label: string, log: string): ReturnType<Jobs['typed']['all']> {
  const target = `gui/${uid}/${label}`
  const file = agentFile(home, label).replace(home, '~')
  return {
    status: `launchctl print ${target} | grep -E '^.(state|pid|last exit code) ='`,
    start: `launchctl bootstrap gui/${uid} ${file}`,
    stop: `launchctl bootout ${target}`,
    restart: `launchctl kickstart -k ${target}`,
    logs: `tail -f ${log.replace(home, '~')}`,
  }
}

/** Where a loaded job differs from its property list, in words; empty when it runs as written. */
export function differences(agent: Agent, job: Printed): string[] {
  const wanted = agent.EnvironmentVariables ?? {}
  const environment = Object.entries(wanted).filter(([name, value]) => job.environment[name] !== value)
  return [
    ...(agent.ProgramArguments.join('\0') === job.arguments.join('\0') ? [] : ['arguments']),
    ...environment.map(([name]) => name),
    ...(agent.KeepAlive === true && !job.properties.includes('keepalive') ? ['KeepAlive'] : []),
    ...(agent.RunAtLoad === true && !job.properties.includes('runatload') ? ['RunAtLoad'] : []),
    ...(agent.ProcessType === 'Interactive' && !job.spawnType?.startsWith('interactive') ? ['ProcessType'] : []),
    ...(agent.ExitTimeOut !== undefined && job.exitTimeOut !== agent.ExitTimeOut ? ['ExitTimeOut'] : []),
    ...(agent.SoftResourceLimits && job.maxFiles !== agent.SoftResourceLimits.NumberOfFiles ? ['NumberOfFiles'] : []),
  ]
}
