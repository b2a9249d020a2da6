import type { Host, Look } from '../../host/host.ts'
import type { Job, JobFile, Jobs } from '../platform.ts'
import { dropIn, labels, places } from './places.ts'
import { command, variables } from './units.ts'

const asked = [
  'LoadState',
  'ActiveState',
  'SubState',
  'MainPID',
  'ExecMainStatus',
  'NRestarts',
  'FragmentPath',
  'DropInPaths',
  'UnitFileState',
  'NeedDaemonReload',
  'Environment',
  'ExecStart',
]

/** Reads `systemctl show`: one `Name=value` a line. */
export const parseShow = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

/** The words of `ExecStart={ path=… ; argv[]=A B ; ignore_errors=… }`. */
const argv = (text: string): string[] => /argv\[\]=(.*?) ;/.exec(text)?.[1]?.split(' ') ?? []

/** The variables that the running process really has, which a change of its unit does not change; nobody else may read those of root. */
async function environment(look: Look, pid: number, shown: string): Promise<string[]> {
  const real = pid > 0 ? await look.read(`/proc/${pid}/environ`).catch(() => undefined) : undefined
  return real === undefined ? shown.split(' ').map((word) => word.replace(/^"|"$/g, '')) : real.split('\0')
}

/** Whether a unit goes with its file: Ollama's own stays when our drop-in goes. */
const isOurs = (label: string): boolean => label !== labels.engine

function unlike(label: string, shown: Record<string, string>, held: string[], { text }: JobFile): string[] {
  const words = command(text)
  return [
    ...(shown.NeedDaemonReload === 'yes' ? ['unit file than was loaded'] : []),
    ...(isOurs(label) || shown.DropInPaths?.includes(dropIn) ? [] : ['settings than ours']),
    ...(shown.UnitFileState === 'enabled' ? [] : ['start at boot']),
    ...(words === undefined || words.join(' ') === argv(shown.ExecStart ?? '').join(' ') ? [] : ['arguments']),
    ...variables(text).flatMap(([name, value]) => (held.includes(`${name}=${value}`) ? [] : [name])),
  ]
}

const job: Jobs['job'] = async (look, label) => {
  const { stdout } = await look.query(['systemctl', 'show', label, `--property=${asked.join(',')}`])
  const shown = parseShow(stdout)
  if (shown.LoadState !== 'loaded' && shown.LoadState !== 'masked') return undefined
  const pid = Number(shown.MainPID)
  const held = await environment(look, pid, shown.Environment ?? '')
  const ran =
    shown.ActiveState === 'inactive' && shown.ExecMainStatus === '0' ? undefined : Number(shown.ExecMainStatus)
  return {
    state: `${shown.ActiveState} (${shown.SubState})`,
    path: shown.FragmentPath,
    ...(pid > 0 && { pid }),
    lastExit: ran,
    runs: Number(shown.NRestarts),
    arguments: argv(shown.ExecStart ?? ''),
    unlike: (file) => unlike(label, shown, held, file),
  } satisfies Job
}

const reload = (host: Host) => host.run(['systemctl', 'daemon-reload'])

/** One that failed too often is not started any more until that is forgotten. */
const forgive = (host: Host, label: string) => host.run(['systemctl', 'reset-failed', label], { codes: [0, 1] })

/** systemctl of the system's manager. It is not waited for: a start may have to wait for an address, and whoever asks looks whether it runs. */
export const jobs = (): Jobs => ({
  shown: '',
  target: (label) => label,
  job,
  async loaded(look) {
    const { stdout } = await look.query([
      'systemctl',
      'list-units',
      '--type=service',
      '--all',
      '--plain',
      '--no-legend',
    ])
    return stdout.split('\n').flatMap((line) => line.split(' ')[0] || [])
  },
  async inherited(look, names) {
    const shown = parseShow((await look.query(['systemctl', 'show-environment'])).stdout)
    return names.flatMap((name) => (shown[name] === undefined ? [] : [[name, shown[name]] as [string, string]]))
  },
  disabled: async (look, label) => (await look.query(['systemctl', 'is-enabled', label])).stdout.trim() === 'masked',
  async load(host, label) {
    await reload(host)
    await host.run(['systemctl', 'enable', label])
    await forgive(host, label)
    await host.run(['systemctl', 'restart', '--no-block', label])
  },
  async unload(host, label, waitMs) {
    await host.run(['systemctl', isOurs(label) ? 'disable' : 'is-enabled', label], { codes: [0, 1] })
    await host.run(['systemctl', 'stop', '--no-block', label], { codes: [0, 5] })
    const ended = async () => !(await job(host, label))?.pid
    if (!(await host.until(`${label} has ended`, waitMs, ended)))
      throw new Error(`${label} is still shutting down after ${waitMs / 1000} s; run again in a minute.`)
    await forgive(host, label)
  },
  isOurs,
  async fileGone(host, label) {
    if (!isOurs(label))
      await host.run(['rmdir', '--ignore-fail-on-non-empty', `${places().agents}/${label}.d`], { codes: [0, 1] })
    await reload(host)
    // 5: its program was removed before, and the unit with it.
    if (!isOurs(label)) await host.run(['systemctl', 'start', '--no-block', label], { codes: [0, 5] })
  },
  async restart(host, label) {
    await forgive(host, label)
    await host.run(['systemctl', 'restart', '--no-block', label])
  },
  async kick(host, label) {
    await forgive(host, label)
    await host.run(['systemctl', 'start', '--no-block', label])
  },
  told: async (look, label) => (await look.query(['systemctl', 'status', '--no-pager', '--lines=0', label])).stdout,
  typed: {
    all: (label) => ({
      status: `systemctl status ${label}`,
      start: `sudo systemctl start ${label}`,
      stop: `sudo systemctl stop ${label}`,
      restart: `sudo systemctl restart ${label}`,
      logs: `sudo journalctl -f -u ${label}`,
    }),
    stop: (label) => `sudo systemctl stop ${label}`,
    restart: (label) => `sudo systemctl restart ${label}`,
    enable: (label) => `sudo systemctl unmask ${label}`,
    forget: (name) => `sudo systemctl unset-environment ${name}`,
    reads: (label) => `sudo journalctl -u ${label} -n 20`,
    note: '',
  },
})
