import { Stop } from '../command.ts'
import type { Host, Look } from '../host.ts'
import { atLeast, type Machine, versionNumbers } from '../machine.ts'
import { labels, places } from '../places.ts'
import { type Agent, fillAgent, launchd } from '../platform/launchd.ts'
import { describe, listeners } from '../platform/listeners.ts'
import { type Configuration, render } from '../proxy/config.ts'
import type { Gateway } from '../proxy/policy.ts'
import { fault, swap } from '../proxy/reload.ts'
import { closeFrontend, engineUp, runningFingerprint, workerInfo } from '../proxy/runtime.ts'
import { agentFileStep, folder, packaged, service, tilde } from '../resources.ts'
import { isForeign, saveReceipt } from '../state.ts'
import { type Check, type Finding, missed, ok, type Step, skipped } from '../step.ts'
import { awaitIdle } from './drain.ts'
import { plistKeys } from './ollama.ts'
import type { Part, Question, Setup } from './part.ts'

const unknown4 = '100.64.0.1'

/** Everything the configuration is made from, for this machine. The tailnet's networks: tailscale.com/kb/1015, kb/1033. */
export function gatewayOf(machine: Machine, setup: Setup): Gateway {
  const { ipv4, ipv6, name, hostName } = machine.tailscale
  const present6 = machine.addresses.some((address) => address.address === ipv6)
  const addresses = [ipv4 ?? unknown4, ...(ipv6 && present6 ? [ipv6] : [])]
  const short = name?.split('.')[0]
  const names = [...addresses, name, short, hostName?.toLowerCase(), ...setup.settings.hosts]
  return {
    settings: setup.settings,
    listeners: [
      { name: 'tailnet', addresses, port: setup.settings.port, sources: ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'] },
    ],
    hosts: [...new Set(names.filter((entry): entry is string => Boolean(entry) && /^[\w.:-]+$/.test(entry ?? '')))],
    home: machine.home,
  }
}

/** The gateway's configuration as the settings and the tailnet give it now. */
export const configurationOf = (machine: Machine, setup: Setup): Configuration =>
  render(gatewayOf(machine, setup), setup.templates)

export function gatewayAgent(machine: Machine, setup: Setup): Agent {
  const at = places(machine.home)
  return fillAgent(setup.agents[labels.gateway] ?? '', {
    bin: `${at.current}/templates/bin`,
    haproxy: setup.programs.haproxy,
    address: machine.tailscale.ipv4 ?? '100.x.y.z',
    logs: at.logs,
  })
}

function config(machine: Machine, setup: Setup): Step {
  const wanted = configurationOf(machine, setup)
  const at = places(machine.home)
  const kept = setup.answers.keepEdited.includes(at.config)
  return {
    id: 'haproxy.config',
    title: 'The gateway’s configuration is the one the settings give',
    async check(look) {
      const text = await look.read(at.config)
      if (text === undefined) return missed(`${tilde(look, at.config)} is missing`, again)
      if (kept && text !== wanted.text) return skipped(`${tilde(look, at.config)} is left as edited by hand`)
      if (text !== wanted.text) return missed(`${tilde(look, at.config)} differs from what the settings give`, again)
      for (const name of Object.keys(wanted.files))
        if ((await look.read(name)) !== wanted.files[name]) return missed(`${tilde(look, name)} differs`, again)
      return running(look, wanted, setup.programs.haproxy)
    },
    async apply(host) {
      const absent = gatewayOf(machine, setup)
        .listeners.flatMap((listener) => listener.addresses)
        .filter((address) => !has(machine, address))
      if ((await runningFingerprint(host)) && absent.length > 0)
        throw new Stop(
          3,
          `The address ${absent.join(', ')} is on no interface, so the running configuration stays; bring Tailscale up and run install.ts again.`,
        )
      await swap(host, { receipt: setup.receipt, configuration: wanted, haproxy: setup.programs.haproxy })
    },
    settlesWithin: 5000,
    async undo(host) {
      for (const name of [at.config, at.lastGood, `${at.config}.next`, at.maps]) await host.remove(name)
      delete setup.receipt.files[at.config]
    },
  }
}

const has = (machine: Machine, address: string): boolean => machine.addresses.some((one) => one.address === address)

/** A new file says nothing about the process: the worker is asked, and its version compared with the program on disk. */
async function running(look: Look, wanted: Configuration, haproxy: string): Promise<Finding> {
  const fingerprint = await runningFingerprint(look)
  if (fingerprint === undefined) return ok('written; not running yet')
  if (fingerprint !== wanted.fingerprint) return missed('the running worker still has another configuration', again)
  const worker = await workerInfo(look)
  const installed = /version (\S+)/i.exec((await look.query([haproxy, '-v'])).stdout)?.[1]
  if (worker && installed && worker.version !== installed)
    return missed(
      `HAProxy ${worker.version} runs, ${installed} is installed`,
      `${again} It reloads without dropping a stream.`,
    )
  return ok(`fingerprint ${fingerprint.slice(0, 12)}, answered by the running worker`)
}

const again = 'Run install.ts again.'

/** The worker is a child of the job's process, and its answer is what counts. */
async function answers(look: Look, wanted: Configuration, pid: number, address: string | undefined): Promise<Finding> {
  const fingerprint = await runningFingerprint(look)
  if (!fingerprint)
    return missed(
      `process ${pid} runs, but no worker answers yet`,
      `See ${places('~').logs}/haproxy.job.log: it waits until ${address ?? 'the tailnet address'} is on an interface.`,
    )
  if (fingerprint !== wanted.fingerprint) return missed('the worker answers another configuration', again)
  // Until its first health check HAProxy takes a server for up; a list must not meet a 503 right after install.
  if (!(await engineUp(look)))
    return missed(
      'the gateway runs, but Ollama does not answer it',
      'launchctl print the job com.ollama; then run install.ts again.',
    )
  return ok(`process ${pid}, worker ${(await workerInfo(look))?.pid}`)
}

/** No new connection, running ones get their time; then the job may go. */
async function drain(host: Host, setup: Setup): Promise<void> {
  if (!(await runningFingerprint(host))) return
  await closeFrontend(host, 'tailnet')
  await awaitIdle(host, setup)
}

function gatewayService(machine: Machine, setup: Setup): Step {
  const wanted = configurationOf(machine, setup)
  const step = service({
    id: 'haproxy.service',
    title: 'The gateway runs and answers with this configuration',
    machine,
    agent: gatewayAgent(machine, setup),
    receipt: setup.receipt,
    answers: (look, pid) => answers(look, wanted, pid, machine.tailscale.ipv4),
    beforeStop: (host) => drain(host, setup),
  })
  return { ...step, needs: ['haproxy.package', 'haproxy.config'] }
}

const minimum = [2, 6]

function program(machine: Machine, setup: Setup): Step {
  return packaged({
    name: 'haproxy',
    title: 'HAProxy 2.6 or newer is installed',
    machine,
    attended: setup.attended,
    program: [setup.programs.haproxy],
    enough: (version) => (atLeast(versionNumbers(version), minimum) ? undefined : 'too old, 2.6 is needed'),
    keeps: 'harmless; `brew uninstall haproxy` removes it',
  })
}

/** Without the proxy nothing of it may be left behind, and the choice is a fact that can be checked. */
function without(machine: Machine, setup: Setup): Step[] {
  const step = gatewayService(machine, setup)
  return [
    {
      id: 'haproxy.absent',
      title: 'The gateway is not installed, as you chose',
      async check(look) {
        const finding = await step.gone?.(look)
        if (finding?.is === 'missed') return finding
        const left = await look.stat(places(machine.home).config)
        return left
          ? missed('its configuration is still there', again)
          : ok(setup.mode === 'exposed' ? 'not protected: Ollama is open to the tailnet' : 'no remote access')
      },
      async apply(host) {
        await step.undo?.(host)
        await host.remove(places(machine.home).proxy)
      },
    },
  ]
}

const ourFolder = (machine: Machine, setup: Setup): boolean =>
  Object.keys(setup.receipt.files).some((path) => path.startsWith(`${places(machine.home).proxy}/`))

/** Somebody else's ~/.haproxy is moved to the backups as a whole, since uninstall removes ours as a whole. */
function foreignFolder(machine: Machine, setup: Setup): Step {
  const at = places(machine.home)
  return {
    id: 'haproxy.foreign',
    title: '~/.haproxy is not somebody else’s',
    check: async (look) =>
      (await look.stat(at.proxy)) && !ourFolder(machine, setup)
        ? missed('~/.haproxy is there, and we did not make it', again)
        : ok('ours or none'),
    async apply(host) {
      if (setup.answers.keepEdited.includes(at.proxy))
        throw new Stop(4, '~/.haproxy is not ours and you want to keep it; move it away, or run install.ts --no-proxy.')
      const backup = `${at.backups}/${Date.now()}-haproxy`
      await host.move(at.proxy, backup)
      setup.receipt.backups.push({ original: at.proxy, backup })
      await saveReceipt(host, setup.receipt)
    },
  }
}

/** Found before anything is changed, since HAProxy would only say that it cannot bind. */
function portFree(machine: Machine, setup: Setup): Check {
  const { port } = setup.settings
  return {
    id: 'haproxy.port',
    title: `Nobody else holds port ${port} on the tailnet address`,
    exit: 3,
    async check(look) {
      const engine = (await launchd(machine.home, machine.uid).job(look, labels.engine))?.pid
      const ours = gatewayOf(machine, setup).listeners.flatMap((listener) => listener.addresses)
      const found = (await listeners(look, port)).filter(
        ({ address, pid, command }) =>
          (ours.includes(address) || address === '*') && pid !== engine && !command?.includes('haproxy'),
      )
      return found.length === 0
        ? ok('free, or ours')
        : missed(found.map(describe).join(', '), `Stop it, or set another port in settings.yaml (port: ${port}).`)
    },
  }
}

function withProxy(machine: Machine, setup: Setup): Check[] {
  const at = places(machine.home)
  const agent = gatewayAgent(machine, setup)
  const edited = setup.answers.keepEdited.includes(`${at.agents}/${labels.gateway}.plist`)
  return [
    portFree(machine, setup),
    program(machine, setup),
    foreignFolder(machine, setup),
    folder({ id: 'haproxy.folder', title: '~/.haproxy is private', path: at.proxy }),
    folder({ id: 'haproxy.run', title: 'The sockets’ folder is private', path: at.run }),
    config(machine, setup),
    agentFileStep({
      id: 'haproxy.plist',
      title: 'com.haproxy.plist is written',
      home: machine.home,
      agent,
      receipt: setup.receipt,
      keepEdited: edited,
    }),
    gatewayService(machine, setup),
  ]
}

function valid(setup: Setup): Check {
  return {
    id: 'haproxy.valid',
    title: 'HAProxy finds no fault in its configuration',
    async check(look) {
      const complaint = await fault(look, setup.programs.haproxy, places(look.home).config)
      return complaint ? missed(complaint, again) : ok('haproxy -c')
    },
  }
}

function sockets(): Check {
  return {
    id: 'haproxy.sockets',
    title: 'The admin and master sockets are for their owner alone',
    needs: ['haproxy.service'],
    async check(look) {
      const at = places(look.home)
      const modes = await Promise.all(
        [at.adminSocket, at.masterSocket].map(async (socket) => (await look.stat(socket))?.mode),
      )
      return modes.every((mode) => mode === 0o600)
        ? ok('mode 600')
        : missed(`modes ${modes.map((mode) => mode?.toString(8) ?? 'missing').join(', ')}`, again)
    },
  }
}

/** After a new login to another tailnet the proxy stays down rather than wrong. */
function address(machine: Machine): Check {
  return {
    id: 'haproxy.address',
    title: 'The configured address is this machine’s tailnet address',
    async check(look) {
      const text = (await look.read(places(look.home).config)) ?? ''
      const configured = /^ {4}bind (\S+):\d+$/m.exec(text)?.[1]
      const { ipv4 } = machine.tailscale
      if (configured && configured === ipv4) return ok(`${ipv4}`)
      return missed(
        `configured is ${configured ?? 'none'}, the tailnet gives ${ipv4 ?? 'none'}`,
        'Run install.ts again: it moves the gateway to the new address.',
      )
    },
  }
}

/** The consent screen of the product's description, word for word. */
export const consent = [
  '───────────────────────────────────────',
  'Security Layer: HAProxy Proxy (Highly Recommended)',
  '───────────────────────────────────────',
  '',
  'This adds a security proxy between clients and Ollama.',
  '',
  'Benefits:',
  '  • Only allowlisted endpoints exposed (prevents accidental exposure)',
  '  • Kernel-enforced isolation (Ollama unreachable from network)',
  '  • Future-expandable (auth, rate limits can be added later)',
  '',
  'Without proxy:',
  '  • Ollama directly exposed to Tailscale network',
  '  • All Ollama endpoints reachable (including future ones)',
  '  • Higher risk of accidental exposure',
  '',
].join('\n')

export const consentQuestion = 'Install HAProxy proxy?'
export const exposeQuestion = 'Open every Ollama endpoint to your whole tailnet without the proxy?'

/** What clients may ask. */
export const haproxy: Part = {
  name: 'haproxy',
  steps: (machine, setup) => (setup.mode === 'proxy' ? withProxy(machine, setup) : without(machine, setup)),
  checks: (machine, setup) =>
    setup.mode === 'proxy'
      ? [plistKeys('haproxy.plist-keys', labels.gateway), valid(setup), sockets(), address(machine)]
      : [],
  async questions(look, machine, setup): Promise<Question[]> {
    const edited = await editedFiles(look, machine, setup)
    return edited.map((path) => ({
      id: 'keepEdited',
      kind: 'confirm',
      path,
      text: `${tilde(look, path)} was edited by hand or is not ours. Back it up and replace it?`,
      initial: true,
    }))
  },
}

/** Files that are there, are not as we wrote them, and would be replaced. */
export async function editedFiles(look: Look, machine: Machine, setup: Setup): Promise<string[]> {
  const at = places(machine.home)
  const theirs = (await look.stat(at.proxy)) !== undefined && !ourFolder(machine, setup)
  const paths = [...(theirs ? [] : [at.config]), ...Object.values(labels).map((label) => `${at.agents}/${label}.plist`)]
  const foreign = await Promise.all(
    paths.map(async (path) => ((await isForeign(look, setup.receipt, path)) ? [path] : [])),
  )
  return [...(theirs ? [at.proxy] : []), ...foreign.flat()]
}
