import { Stop } from '../command.ts'
import type { Host, Look } from '../host.ts'
import { atLeast, type Machine, versionNumbers } from '../machine.ts'
import { labels, places } from '../places.ts'
import { type Agent, fillAgent, launchd } from '../platform/launchd.ts'
import { describe, isLoopback, listeners } from '../platform/listeners.ts'
import { engineLoad, setDraining } from '../proxy/runtime.ts'
import { agentFileStep, packaged, readAgent, service } from '../resources.ts'
import { contextLength, openGroups, type Settings, spell } from '../settings.ts'
import { advice, type Check, type Finding, missed, ok, type Step, skipped } from '../step.ts'
import { awaitIdle } from './drain.ts'
import { others, stopOthers } from './other-ollamas.ts'
import type { Part, Question, Setup } from './part.ts'

const bundled = '/Applications/Ollama.app/Contents/Resources/ollama'

/** The program: the app's own when the app is there, since formula and cask conflict; else Homebrew's by its stable path. */
export const engineProgram = async (look: Look, machine: Machine): Promise<string> =>
  (await look.find([bundled])) ?? `${machine.prefix}/opt/ollama/bin/ollama`

/** `ollama --version` asks whoever listens, and waits for one that never answers; nobody listens on port 1. */
const ownVersion = ['env', 'OLLAMA_HOST=127.0.0.1:1']

/** Routes came with these versions (ollama/ollama commits 1eb5e7597 and 2b2cda7a2). */
export function minimumVersion(settings: Settings): number[] {
  const groups = openGroups(settings)
  if (groups.includes('anthropic')) return [0, 14, 0]
  return groups.includes('responses') ? [0, 13, 3] : [0, 5, 0]
}

/** Where Ollama listens: loopback, or the tailnet address when the person chose to open it. */
export function engineAddress(machine: Machine, setup: Setup): string {
  return setup.mode === 'exposed' ? (machine.tailscale.ipv4 ?? '100.x.y.z') : '127.0.0.1'
}

/** The property list of `com.ollama`. */
export function engineAgent(machine: Machine, setup: Setup, program: string): Agent {
  const { settings } = setup
  const at = places(machine.home)
  const address = engineAddress(machine, setup)
  return fillAgent(setup.agents[labels.engine] ?? '', {
    bin: `${at.current}/templates/bin`,
    ollama: program,
    host: `${address}:${settings.engine.port}`,
    context: `${contextLength(settings, machine.memory)}`,
    parallel: `${settings.inference.parallel}`,
    keepAlive: spell(settings.keep_alive),
    logs: at.logs,
    waitsFor: setup.mode === 'exposed' ? address : '',
  })
}

/** Asks the engine itself, past the gateway. */
export const askEngine = (look: Look, machine: Machine, setup: Setup, target: string) => {
  const address = engineAddress(machine, setup)
  const { port } = setup.settings.engine
  return look.probe({ address, port, method: 'GET', target, headers: { host: `${address}:${port}` }, timeoutMs: 5000 })
}

async function answers(look: Look, machine: Machine, setup: Setup, pid: number): Promise<Finding> {
  const version = await askEngine(look, machine, setup, '/api/version')
  if (version.status !== 200)
    return missed(
      `process ${pid} does not answer /api/version (${version.error ?? version.status})`,
      `See ${places('~').logs}/ollama.log`,
    )
  const mine = (await listeners(look, setup.settings.engine.port)).filter((fact) => fact.pid === pid)
  if (mine.length === 0)
    return missed(
      `the answer comes from another program than process ${pid}`,
      'Stop the other Ollama and run install.ts again.',
    )
  return ok(`Ollama ${(JSON.parse(version.body) as { version: string }).version}, process ${pid}`)
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
  throw new Stop(5, `Ollama was not restarted: ${left} answer(s) still run; run install.ts again when they are done.`)
}

function engineService(machine: Machine, setup: Setup, agent: Agent): Step {
  const base = service({
    id: 'ollama.service',
    title: 'Ollama runs as written and answers',
    machine,
    agent,
    receipt: setup.receipt,
    answers: (look, pid) => answers(look, machine, setup, pid),
    beforeStop: (host) => drain(host, setup),
  })
  return {
    ...base,
    interactive: true,
    needs: ['ollama.package', 'ollama.alone'],
    apply: (host) => base.apply(host).finally(() => setDraining(host, false).catch(() => {})),
  }
}

function alone(machine: Machine, setup: Setup): Step {
  return {
    id: 'ollama.alone',
    title: 'No other Ollama is in the way',
    async check(look) {
      const found = await others(look, machine, setup.settings.engine.port)
      return found.length === 0
        ? ok('none')
        : missed(
            found.map((other) => other.what).join('; '),
            'Run install.ts --stop-other-ollama, or stop it yourself.',
          )
    },
    async apply(host) {
      const found = await others(host, machine, setup.settings.engine.port)
      if (!setup.answers.stopOther) {
        throw new Stop(
          setup.attended ? 4 : 3,
          `Another Ollama is in the way (${found.map((other) => other.what).join('; ')}); stop it, or run install.ts --stop-other-ollama.`,
        )
      }
      await stopOthers(host, setup.receipt, found)
    },
    settlesWithin: 15_000,
  }
}

function leaks(): Check {
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
      const values = await Promise.all(
        names.map(async (name) => [name, (await look.query(['launchctl', 'getenv', name])).stdout.trim()] as const),
      )
      const set = values.filter(([, value]) => value !== '')
      const origins = set.find(
        ([name, value]) =>
          name === 'OLLAMA_ORIGINS' && value.split(',').some((part) => part !== '*' && !part.includes('://')),
      )
      if (origins)
        return missed(
          `OLLAMA_ORIGINS=${origins[1]} has an entry without scheme, at which Ollama crashes`,
          'launchctl unsetenv OLLAMA_ORIGINS',
        )
      if (set.length === 0) return ok('none set')
      return advice(
        `set by launchctl setenv: ${set.map(([name]) => name).join(', ')}`,
        `launchctl unsetenv ${set[0]?.[0]}   (our property list overrules only what it names)`,
      )
    },
  }
}

/** Listing, not binding: on macOS a wildcard and a single address coexist on a port. */
function loopbackOnly(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.loopback-only',
    title: 'Ollama listens on loopback only',
    needs: ['ollama.service'],
    async check(look) {
      if (setup.mode === 'exposed')
        return missed(
          'Ollama is open to the whole tailnet, as you chose: not protected',
          'Run install.ts to put the proxy in front.',
        )
      const facts = await listeners(look, setup.settings.engine.port)
      const job = await launchd(machine.home, machine.uid).job(look, labels.engine)
      const mine = facts.filter((fact) => fact.pid === job?.pid)
      const open = mine.filter((fact) => !isLoopback(fact.address))
      if (mine.length === 0) return missed('nobody listens for Ollama', 'Run install.ts again.')
      return open.length
        ? missed(open.map(describe).join(', '), 'Run install.ts again: it writes OLLAMA_HOST=127.0.0.1.')
        : ok(mine.map(describe).join(', '))
    },
  }
}

function nobodyElse(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.nobody-else',
    title: 'Nobody else listens on the ports, on any address',
    async check(look) {
      const jobs = launchd(machine.home, machine.uid)
      const engine = await jobs.job(look, labels.engine)
      const worker = new Set(
        (await listeners(look, setup.settings.port))
          .filter((fact) => fact.command?.includes('haproxy'))
          .map((fact) => fact.pid),
      )
      const ports = [...new Set([setup.settings.port, setup.settings.engine.port])]
      const facts = (await Promise.all(ports.map((port) => listeners(look, port)))).flat()
      const foreign = facts.filter((fact) => fact.pid !== engine?.pid && !worker.has(fact.pid))
      return foreign.length
        ? missed(foreign.map(describe).join(', '), 'Stop it: it answers without any protection.')
        : ok(facts.map(describe).join(', '))
    },
  }
}

function ownUser(machine: Machine): Check {
  return {
    id: 'ollama.user',
    title: 'Ollama does not run as root',
    needs: ['ollama.service'],
    async check(look) {
      const job = await launchd(machine.home, machine.uid).job(look, labels.engine)
      const { stdout } = await look.query(['ps', '-o', 'user=', '-p', `${job?.pid ?? 0}`])
      const user = stdout.trim()
      return user === machine.user
        ? ok(`process ${job?.pid} is ${user}’s`)
        : missed(`its user is ${user || 'unknown'}`, 'Run install.ts as yourself.')
    },
  }
}

function cloudOff(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.cloud-off',
    title: 'Ollama forwards nothing to its cloud',
    needs: ['ollama.service'],
    async check(look) {
      const answer = await askEngine(look, machine, setup, '/api/status')
      if (answer.status === 404) return skipped('this Ollama has no cloud (before 0.16.2)')
      return /"disabled":\s*true/.test(answer.body)
        ? ok('cloud disabled')
        : missed(`/api/status says ${answer.body.slice(0, 80)}`, 'Run install.ts again: it writes OLLAMA_NO_CLOUD=1.')
    },
  }
}

function sameVersion(machine: Machine, setup: Setup): Check {
  return {
    id: 'ollama.same-version',
    title: 'The running Ollama is the installed one',
    needs: ['ollama.service'],
    async check(look) {
      const running = (
        JSON.parse((await askEngine(look, machine, setup, '/api/version')).body || '{}') as { version?: string }
      ).version
      const { stdout } = await look.query([...ownVersion, await engineProgram(look, machine), '--version'])
      const installed = /\d+(\.\d+)+/.exec(stdout)?.[0]
      if (running === installed) return ok(`${running}`)
      return advice(
        `${running} runs, ${installed} is installed`,
        `launchctl kickstart -k ${launchd(machine.home, machine.uid).target(labels.engine)}`,
      )
    },
  }
}

/** RunAtLoad, KeepAlive and Interactive as the file has them; what launchd made of them is in `ollama.service`. */
export function plistKeys(id: string, label: string): Check {
  return {
    id,
    title: `${label}.plist starts at login and is kept alive`,
    async check(look) {
      const agent = await readAgent(look, label)
      if (!agent) return missed(`${label}.plist is missing or broken`, 'Run install.ts again.')
      const good = agent.RunAtLoad === true && agent.KeepAlive === true && agent.ProcessType === 'Interactive'
      return good
        ? ok('RunAtLoad, KeepAlive, ProcessType Interactive')
        : missed('RunAtLoad, KeepAlive or ProcessType differs', 'Run install.ts again.')
    },
  }
}

/** The engine, on loopback. */
export const ollama: Part = {
  name: 'ollama',
  steps(machine, setup) {
    const minimum = minimumVersion(setup.settings)
    const agent = engineAgent(machine, setup, setup.programs.ollama)
    const edited = setup.answers.keepEdited.includes(`${places(machine.home).agents}/${labels.engine}.plist`)
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
        keeps: 'you may want it without the gateway; `brew uninstall ollama` removes it',
      }),
      alone(machine, setup),
      leaks(),
      agentFileStep({
        id: 'ollama.plist',
        title: 'com.ollama.plist is written',
        home: machine.home,
        agent,
        receipt: setup.receipt,
        keepEdited: edited,
      }),
      engineService(machine, setup, agent),
    ]
  },
  checks: (machine, setup) => [
    plistKeys('ollama.plist-keys', labels.engine),
    loopbackOnly(machine, setup),
    nobodyElse(machine, setup),
    ownUser(machine),
    cloudOff(machine, setup),
    sameVersion(machine, setup),
  ],
  async questions(look, machine, setup): Promise<Question[]> {
    const found = await others(look, machine, setup.settings.engine.port)
    if (found.length === 0 || setup.answers.stopOther) return []
    const text = `Another Ollama is in the way (${found.map((other) => other.what).join('; ')}). Stop it? It can be brought back: ${found.map((other) => other.back.join(' ')).join('; ')}`
    return [{ id: 'stopOther', kind: 'confirm', text, initial: false }]
  },
}
