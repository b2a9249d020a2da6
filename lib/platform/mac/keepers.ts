import type { Look } from '../../host/host.ts'
import { ancestry, type Keeper, type Keepers, type Owner, type Process, type Written } from '../platform.ts'
import { type Agent, jobs, parseAgent, parsePrint, parseServices } from './launchd.ts'
import { labels } from './places.ts'
import { processes } from './processes.ts'

/** Where jobs are: of the desktop, of ssh sessions, of the Mac itself. */
const domainsOf = (uid: number): string[] => [`gui/${uid}`, `user/${uid}`, 'system']

/** Apps that a person started, and what Apple's own jobs start, are told apart from jobs by their labels. */
const nobodys = /^(application\.|com\.apple\.|com\.openssh\.)/

/** Programs that only run another one. */
const runners = new Set(['caffeinate', 'timeout', 'gtimeout', 'time', 'env', 'nice', 'nohup', 'script'])
const multiplexers = new Set(['tmux', 'screen', 'zellij'])

/** A shell without a script is one that somebody types into. */
const typedInto = /^-?(\S*\/)?(ba|z|da|k|fi|tc|c)?sh(\s+-[il]+|\s+--login)*$/
const shell = /^-?(\S*\/)?(ba|z|da|k|fi|tc|c)?sh(\s|$)/

async function of(look: Look, who: Owner, all: Process[], pid: number): Promise<Keeper | undefined> {
  const line = ancestry(all, pid)
  for (const domain of domainsOf(who.uid)) {
    const running = parseServices((await look.query(['launchctl', 'print', domain])).stdout)
    const label = line.map((one) => running.get(one.pid)).find((name) => name !== undefined && !nobodys.test(name))
    if (label === undefined) continue
    const { path = '', arguments: words } = parsePrint(
      (await look.query(['launchctl', 'print', `${domain}/${label}`])).stdout,
    )
    return byJob(who, domain, label, path, words[0])
  }
  return byProcess(pid, line.slice(1))
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** What is switched off is not loaded at the next login either; the switch is by name alone, so never that of a job of ours. */
function byJob(who: Owner, domain: string, label: string, file: string, program = ''): Keeper {
  const job = `${domain}/${label}`
  const formula = /^homebrew\.mxcl\.(.+)$/.exec(label)?.[1]
  if (domain === 'system')
    return {
      ...{ job, stop: [], back: [] },
      who: formula ? `the Homebrew service ${formula} of root` : `the LaunchDaemon ${label}`,
      must: formula
        ? `sudo brew services stop ${formula}`
        : `sudo launchctl bootout ${job}; sudo launchctl disable ${job}`,
    }
  const { program: first, other } = who.packager
  const brew = other && program.startsWith(`${other.prefix}/`) ? other.path : first
  if (formula && brew)
    return {
      ...{ job, who: `the Homebrew service ${formula}` },
      // It takes the property list away itself; on a Mac with two, only a service's own Homebrew brings it back as it was.
      stop: [[brew, 'services', 'stop', formula]],
      back: [brew, 'services', 'start', formula],
    }
  const ours = Object.values(labels).some((one) => one === label)
  const bootout = ['launchctl', 'bootout', job]
  return {
    ...{ job, who: `the LaunchAgent ${label}` },
    stop: ours ? [bootout] : [['launchctl', 'disable', job], bootout],
    back: ours ? [] : ['sh', '-c', `launchctl enable ${job}; launchctl bootstrap ${domain} ${quoted(file)}`],
  }
}

/** A script is ended first, or it would start the process again; what a person types into is left alone. */
function byProcess(pid: number, above: Process[]): Keeper | undefined {
  const parent = above.find((one) => !runners.has(processes.name(one)))
  if (!parent) return undefined
  const multiplexer = above.map(processes.name).find((program) => multiplexers.has(program))
  const who = `${parent.args.slice(0, 120)} (process ${parent.pid}${multiplexer ? `, in ${multiplexer}` : ''})`
  const script = shell.test(parent.args) && !typedInto.test(parent.args)
  const app = /\/([^/]+)\.app\/Contents\//.exec(parent.args)?.[1]
  const must = app ? `quit ${app}` : typedInto.test(parent.args) ? `end the loop in ${who} with Ctrl-C` : `end ${who}`
  return { who, stop: [...(script ? [['kill', `${parent.pid}`]] : []), ['kill', `${pid}`]], back: [], must }
}

/** The folders that launchd reads at login and at the start of the Mac. */
async function written(look: Look, who: Owner, about: RegExp): Promise<Written[]> {
  const folders: [string, string][] = [
    [`gui/${who.uid}`, `${look.home}/Library/LaunchAgents`],
    [`gui/${who.uid}`, '/Library/LaunchAgents'],
    ['system', '/Library/LaunchDaemons'],
  ]
  return (await Promise.all(folders.map(([domain, folder]) => inFolder(look, who, domain, folder, about)))).flat()
}

async function inFolder(look: Look, who: Owner, domain: string, folder: string, about: RegExp): Promise<Written[]> {
  const off = (await look.query(['launchctl', 'print-disabled', domain])).stdout
  const names = (await look.list(folder)).filter((name) => name.endsWith('.plist'))
  const found = await Promise.all(names.map((name) => xml(look, `${folder}/${name}`)))
  return found.flatMap((text, at) => {
    const agent = about.test(text) ? parseAgent(text) : undefined
    if (!agent || !starts(agent, off)) return []
    if (domain !== 'system' && Object.values(labels).some((label) => label === agent.Label)) return []
    const words = [agent.Program ?? '', ...(agent.ProgramArguments ?? [])].filter(Boolean)
    return [
      {
        keeper: byJob(who, domain, agent.Label, `${folder}/${names[at]}`, words[0]),
        words,
        variable: (name: string) => agent.EnvironmentVariables?.[name],
        when: domain === 'system' ? 'whenever the Mac starts' : 'at login',
      },
    ]
  })
}

/** Whether launchd starts it by itself: KeepAlive may be a dictionary of conditions. */
function starts({ Label, Disabled, RunAtLoad, KeepAlive }: Agent, disabled: string): boolean {
  const word = new RegExp(`"${Label.replaceAll('.', '\\.')}" => (\\w+)`).exec(disabled)?.[1]
  const off = word === undefined ? Disabled === true : word === 'disabled' || word === 'true'
  return !off && (RunAtLoad === true || Boolean(KeepAlive))
}

/** A property list may be in the binary form; one that cannot be read says nothing. */
async function xml(look: Look, file: string): Promise<string> {
  const text = (await look.read(file).catch(() => undefined)) ?? ''
  return text.startsWith('bplist') ? (await look.query(['plutil', '-convert', 'xml1', '-o', '-', file])).stdout : text
}

const appItem = 'com.ollama.ollama'

/** Quitting by AppleScript needs a permission that may be denied, and over ssh is asked for at a screen that nobody sees; the signal does not. */
const byForce = 'pkill -x Ollama || true'

/** Its login item (label com.ollama.ollama) would bring it back at login, and it then ends every other `ollama serve`. */
async function ollamaApp(look: Look, who: Owner): Promise<Keeper | undefined> {
  const all = jobs(who)
  const runs = (await all.loaded(look)).some((label) => label.startsWith('application.com.electron.ollama'))
  const item = async () =>
    (await look.stat('/Applications/Ollama.app')) !== undefined &&
    (await all.job(look, appItem)) !== undefined &&
    !(await all.disabled(look, appItem))
  if (!runs && !(await item())) return undefined
  const job = all.target(appItem)
  return {
    ...{ who: 'Ollama.app', job },
    stop: [
      ['launchctl', 'disable', job],
      ['sh', '-c', who.ssh ? byForce : `osascript -e 'quit app "Ollama"' || ${byForce}`],
    ],
    back: ['sh', '-c', `launchctl enable ${job}; open -a Ollama`],
  }
}

export const keepers: Keepers = {
  of,
  written,
  ollamaApp,
  isOllamaApp: ({ args }) => args.includes('/Ollama.app/Contents/MacOS/'),
  // launchctl says so of a job that is gone or just going, and kill of a process that has ended.
  harmless: ([program]) => (program === 'launchctl' ? [0, 3, 5, 36, 113] : program === 'kill' ? [0, 1] : [0]),
}
