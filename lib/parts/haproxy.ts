import { isDeepStrictEqual } from 'node:util'
import { configurationOf, gatewayJob, gatewayOf } from '../gateway/of-site.ts'
import { endsOf } from '../gateway/pair.ts'
import { doorsOf } from '../gateway/services.ts'
import { bringInIpv6, chooseIpv6, runningIpv6 } from '../haproxy/ipv6.ts'
import { swap } from '../haproxy/reload.ts'
import { closeFrontend, engineLoad, engineUp, isDraining, runningFingerprint, workerInfo } from '../haproxy/runtime.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { nodeSteps, nodesReachable } from '../nodes/store.ts'
import { identityStep } from '../people/refresh.ts'
import { keyStep, tooLongFor } from '../people/store.ts'
import { jobPath, jobsOf, labels, listeners, places, platformOf } from '../platform/here.ts'
import { describe } from '../platform/platform.ts'
import type { Configuration } from '../site/configuration.ts'
import { fingerprintOf } from '../site/configuration.ts'
import type { Machine } from '../site/machine.ts'
import { nodesOf, spreads } from '../site/nodes.ts'
import { asksCertificates } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { backupPlace, saveReceipt } from '../steps/receipt.ts'
import { absent, differs, folder, forget, jobFileStep, service, tilde } from '../steps/resources.ts'
import { advice, again, type Check, type Finding, missed, ok, type Step, skipped } from '../steps/step.ts'
import { clientsAsked } from './certificates.ts'
import { editedFiles, ourFolder } from './consent.ts'
import { awaitIdle } from './drain.ts'
import { gatewayChecks } from './haproxy-checks.ts'
import { account, program } from './haproxy-program.ts'
import { listenerChecks, settingOfPort } from './listeners.ts'
import { others } from './other-ollamas.ts'
import type { Part, Question } from './part.ts'
import { serviceSteps } from './services.ts'
import { writable } from './writable.ts'

function config(machine: Machine, setup: Setup): Step {
  const wanted = configurationOf(machine, setup)
  const at = places(machine)
  const kept = setup.answers.keepEdited.includes(at.config)
  return {
    id: 'haproxy.config',
    title: 'The gateway’s configuration is the one the settings give',
    after: ['tailscale.up'],
    needs: ['tailscale.up'],
    async check(look) {
      const text = await look.read(at.config)
      if (text === undefined) return missed(`${tilde(look, at.config)} is missing`, again)
      if (kept && text !== wanted.text) return skipped(`${tilde(look, at.config)} is left as edited by hand`)
      if (text !== wanted.text) return differs(look, at.config, text, wanted.text)
      for (const name of Object.keys(wanted.files))
        if ((await look.read(name)) !== wanted.files[name]) return missed(`${tilde(look, name)} differs`, again)
      return running(look, wanted, setup.programs.haproxy)
    },
    async apply(host) {
      const [ipv4 = ''] = gatewayOf(machine, setup).listeners.flatMap((listener) => listener.addresses)
      const runs = await runningFingerprint(host)
      if (runs && !has(machine, ipv4))
        throw new Stop(
          3,
          `The address ${ipv4} is on no interface, so the running configuration stays; bring Tailscale up and run ${called('install')} again.`,
        )
      if (runs) await chooseIpv6(host, hasIpv6(machine) ? 'on' : 'off')
      await swap(host, { receipt: setup.receipt, configuration: wanted, haproxy: setup.programs.haproxy })
    },
    settlesWithin: 5000,
  }
}

const has = (machine: Machine, address: string | undefined): boolean =>
  machine.addresses.some((one) => one.address === address && !one.unready)

const hasIpv6 = (machine: Machine): boolean => has(machine, machine.tailscale.ipv6)

/** IPv6 that is late, tentative or absent keeps nobody waiting: the gateway then answers on IPv4 alone. */
function overIpv6(machine: Machine, ipv6: string, setup: Setup): Step {
  return {
    id: 'haproxy.ipv6',
    title: 'The gateway answers on the tailnet’s IPv6 address, too',
    needs: ['haproxy.service'],
    async check(look) {
      if ((await runningIpv6(look)) !== 'off') return ok(ipv6)
      if (hasIpv6(machine))
        return missed(`${ipv6} came after the gateway had started, so it answers on IPv4 alone`, `${typed('apply')}`)
      const why = machine.addresses.find(({ address }) => address === ipv6)?.unready
      const after =
        setup.settings.observer === 'on' ? 'the gateway then takes it in by itself' : `then ${typed('apply')}`
      return advice(
        `${ipv6} is ${why ?? 'on no interface'}, so the gateway answers on IPv4 alone`,
        `Nobody is kept out; for IPv6, ${platformOf(machine).tailscale.offAndOn}; ${after}.`,
      )
    },
    apply: bringInIpv6,
  }
}

/** A new file says nothing about the process: the worker is asked, and its version compared with the program on disk. */
async function running(look: Look, wanted: Configuration, haproxy: string): Promise<Finding> {
  const fingerprint = await runningFingerprint(look)
  if (fingerprint === undefined) return ok('written; not running yet')
  if (fingerprint !== wanted.fingerprint) return missed('the running worker still has another configuration', again)
  if (await isDraining(look)) return missed('new requests are still refused for a restart that was not finished', again)
  const worker = await workerInfo(look)
  const installed = /version (\S+)/i.exec((await look.query([haproxy, '-v'])).stdout)?.[1]
  if (worker && installed && worker.version !== installed)
    return missed(
      `HAProxy ${worker.version} runs, ${installed} is installed`,
      `${again} It reloads without dropping a stream.`,
    )
  return ok(`fingerprint ${fingerprint.slice(0, 12)}, answered by the running worker`)
}

/** Where the gateway's job says what it waits for. */
const jobLog = (look: Look): string =>
  jobsOf({ ...look, uid: 0 }).typed.reads(labels(look).gateway, `${places(look).logs}/haproxy.job.log`)

/** The worker is a child of the job's process, and its answer is what counts. */
async function answers(look: Look, wanted: string, pid: number, address: string | undefined): Promise<Finding> {
  const fingerprint = await runningFingerprint(look)
  if (!fingerprint)
    return missed(
      `process ${pid} runs, but no worker answers yet`,
      `See ${jobLog(look)}: it waits until ${address ?? 'the tailnet address'} is on an interface.`,
    )
  if (fingerprint !== wanted) return missed('the worker answers another configuration', again)
  return ok(`process ${pid}, worker ${(await workerInfo(look))?.pid}`)
}

/** No new connection, running ones get their time; then the job may go, also where a worker does not tell: to end is all that it can still do. */
async function drain(host: Host, machine: Machine, setup: Setup): Promise<void> {
  if (!(await runningFingerprint(host))) return
  try {
    await closeFrontend(host, gatewayOf(machine, setup).listeners[0]?.name ?? '')
    await awaitIdle(host, setup)
  } catch (error) {
    if (!(error instanceof Stop && error.code === exitCodes.partly)) throw error
    setup.say?.(`Answers that run in a worker of HAProxy that does not answer are not waited for (${error.message})`)
    await host.until('the other answers have ended', setup.settings.drain, async () => {
      const load = await engineLoad(host)
      return !load || load.running + load.waiting === 0
    })
  }
}

/** A wait, not a change: after a restart of Ollama the gateway's health check needs a moment to see it. */
function reachesEngine({ settings }: Setup): Step {
  const several = spreads(settings)
  return {
    id: 'haproxy.engine',
    title: several ? 'The gateway finds a node up' : 'The gateway finds Ollama up',
    needs: ['haproxy.service', 'ollama.service'],
    onOthers: several,
    async check(look) {
      if (several && nodesOf(settings).length === 0) return skipped('this gateway has no node yet')
      if (await engineUp(look)) return ok('its health check succeeds')
      if (!(await runningFingerprint(look))) return missed('HAProxy does not run, so it finds nothing', again)
      if (several)
        return missed(
          'the gateway runs, but none of its nodes answers it',
          `\`${typed('nodes')}\` says what is wrong with each.`,
        )
      return missed('the gateway runs, but Ollama does not answer it', `See \`${typed('status')}\` for ollama.service.`)
    },
    apply: async () => {},
    settlesWithin: 30_000,
  }
}

function gatewayService(machine: Machine, setup: Setup): Step {
  const wanted = configurationOf(machine, setup)
  const { keepEdited } = setup.answers
  const { config } = places(machine)
  const fingerprint = async (look: Look) =>
    keepEdited.includes(config) ? fingerprintOf((await look.read(config)) ?? '') : wanted.fingerprint
  const step = service({
    id: 'haproxy.service',
    title: 'The gateway runs and answers with this configuration',
    machine,
    job: gatewayJob(machine, setup),
    receipt: setup.receipt,
    keepEdited: keepEdited.includes(jobPath(machine, labels(machine).gateway)),
    answers: async (look, pid) => answers(look, await fingerprint(look), pid, machine.tailscale.ipv4),
    beforeStop: (host) => drain(host, machine, setup),
  })
  return { ...step, needs: ['tailscale.up', 'haproxy.package', 'haproxy.config'] }
}

/** Without the proxy nothing of it may be left behind, and the choice is a fact that can be checked. */
function without(machine: Machine, setup: Setup): Step[] {
  const at = places(machine)
  const step = gatewayService(machine, setup)
  const file = jobPath(machine, labels(machine).gateway)
  const chosen = setup.mode === 'exposed' ? 'not protected: Ollama is open to the tailnet' : 'no remote access'
  return [
    {
      id: 'haproxy.absent',
      title: 'The gateway is not installed, as you chose',
      async check(look) {
        if (file in setup.receipt.files) {
          const finding = await step.gone?.(look)
          if (finding?.is === 'missed') return finding
        }
        const left = (await look.stat(at.proxy)) && (await ourFolder(look, machine, setup))
        return left ? missed('the gateway’s configuration is still there', again) : ok(chosen)
      },
      async apply(host) {
        if (file in setup.receipt.files) await step.undo?.(host)
        const own = proxyFolder(machine, setup)
        if ((await own.theirs?.(host)) === undefined) await own.undo?.(host)
      },
    },
  ]
}

/** Somebody else's ~/.haproxy is moved to the backups as a whole, since uninstall removes ours as a whole. */
function foreignFolder(machine: Machine, setup: Setup): Step {
  const at = places(machine)
  return {
    id: 'haproxy.foreign',
    ahead: true,
    title: `${tilde(machine, at.proxy)} is not somebody else’s`,
    check: async (look) =>
      (await look.stat(at.proxy)) && !(await ourFolder(look, machine, setup))
        ? missed(`${tilde(machine, at.proxy)} is there, and we did not make it`, again)
        : ok('ours or none'),
    async apply(host) {
      if (setup.answers.keepEdited.includes(at.proxy))
        throw new Stop(
          4,
          `${tilde(machine, at.proxy)} is not ours and you want to keep it; move it away, or run ${called('install')} --no-proxy.`,
        )
      const backup = await backupPlace(host, 'haproxy')
      await host.move(at.proxy, backup)
      setup.receipt.backups.push({ original: at.proxy, backup })
      await saveReceipt(host, setup.receipt)
    },
  }
}

/** Found before anything is changed, since HAProxy would only say that it cannot bind. */
function portsFree(machine: Machine, setup: Setup): Check[] {
  const { port, peers } = setup.settings
  const gateway = gatewayOf(machine, setup)
  const [tailnet, ...further] = gateway.listeners
  const pair = endsOf(gateway)
  const free = (id: string, where: string, ours: string[], number: number, setting: string): Check => ({
    id,
    title: `Nobody else holds port ${number} on ${where}`,
    exit: 3,
    async check(look) {
      const engine = (await jobsOf(machine).job(look, labels(machine).engine))?.pid
      const found = (await listeners(look, number)).filter(
        ({ address, pid, command }) =>
          (ours.includes(address) || address === '*') && pid !== engine && !command?.includes('haproxy'),
      )
      // Another Ollama has a check and a step of its own.
      const told = found.length === 0 ? [] : (await others(look, machine, setup.settings)).flatMap(({ holds }) => holds)
      const left = found.filter((one) => !told.some((other) => isDeepStrictEqual(other, one)))
      return left.length === 0
        ? ok('free, or ours')
        : missed(
            `the port is taken: ${left.map(describe).join(', ')}`,
            `Stop it, or set another port in settings.yaml (${setting}: ${number}).`,
          )
    },
  })
  return [
    free('haproxy.port', 'the tailnet address', tailnet?.addresses ?? [], port, 'port'),
    ...further.map(({ name, addresses, port: own }) =>
      free(`haproxy.port-${name}`, addresses.join(', '), addresses, own, settingOfPort(name)),
    ),
    ...doorsOf(gateway).map(({ name, addresses, port: own, services: [first] }) =>
      free(`haproxy.port-${name}-${own}`, addresses.join(', '), addresses, own, `services.${first?.id}.port`),
    ),
    pair
      ? free('haproxy.peers-port', pair.own, [pair.own], pair.port, 'vip.peers_port')
      : free('haproxy.peers-port', '127.0.0.1', ['127.0.0.1'], peers.port, 'peers.port'),
  ]
}

/** Found before anything is changed: HAProxy would cut it. */
const listsFit = ({ registry, settings }: Setup): Check => ({
  id: 'haproxy.lists',
  title: 'Every list of models is short enough for the gateway to know it whole',
  exit: 3,
  async check(look) {
    const who = await tooLongFor(look, registry, settings)
    return who === undefined
      ? ok(settings.observer === 'on' ? 'the observer tells them, however long' : 'they fit')
      : missed(
          `that of ${who} is not, and no observer runs that could tell it`,
          `Set observer: on in settings.yaml, or allow ${who} fewer models.`,
        )
  },
})

/** ~/.haproxy with all that is in it; one that is not ours is never removed. */
function proxyFolder(machine: Machine, setup: Setup): Step {
  const { proxy } = places(machine)
  const step = folder({ id: 'haproxy.folder', title: `${tilde(machine, proxy)} is private`, path: proxy })
  return {
    ...step,
    async apply(host) {
      if (!setup.receipt.folders.includes(proxy)) setup.receipt.folders.push(proxy)
      await saveReceipt(host, setup.receipt)
      await step.apply(host)
    },
    async theirs(look) {
      const there = (await look.stat(proxy)) !== undefined
      return there && !(await ourFolder(look, machine, setup)) ? 'it is not ours, so it stays' : undefined
    },
    async undo(host) {
      await host.remove(proxy)
      await forget(host, setup.receipt, proxy)
    },
    gone: (look) => absent(look, proxy),
  }
}

/** Where the sockets lie; below the gateway's own folder it goes with that. */
function runFolder(machine: Machine): Step {
  const { run, proxy } = places(machine)
  const { run: mode } = platformOf(machine).modes
  const step = folder({ id: 'haproxy.run', title: 'The sockets’ folder is private', path: run, mode })
  return run.startsWith(`${proxy}/`) ? { ...step, undo: undefined } : step
}

function withProxy(machine: Machine, setup: Setup): Check[] {
  const at = places(machine)
  const job = gatewayJob(machine, setup)
  const edited = setup.answers.keepEdited.includes(jobPath(machine, labels(machine).gateway))
  const { ipv6 } = machine.tailscale
  return [
    ...listenerChecks(machine, setup),
    ...portsFree(machine, setup),
    writable('haproxy.folders', `${tilde(machine, at.proxy)} can be written`, machine, [
      at.proxy,
      at.maps,
      at.keyMaps,
      at.run,
    ]),
    listsFit(setup),
    program(machine, setup),
    ...account(machine, setup),
    foreignFolder(machine, setup),
    proxyFolder(machine, setup),
    runFolder(machine),
    ...nodesReachable(setup.settings),
    // Lists of models are made from what nodes have.
    ...nodeSteps(setup.settings),
    keyStep(setup.settings),
    ...serviceSteps(setup),
    identityStep(setup.settings),
    config(machine, setup),
    {
      ...jobFileStep({ id: 'haproxy.job', at: machine, job, receipt: setup.receipt, keepEdited: edited }),
      needs: ['tailscale.up'],
    },
    gatewayService(machine, setup),
    ...(asksCertificates(setup.settings) ? [clientsAsked()] : []),
    ...(ipv6 ? [overIpv6(machine, ipv6, setup)] : []),
    reachesEngine(setup),
  ]
}

/** No keeps the file as it is. */
export const editedQuestion = (look: Look, path: string): Question => ({
  id: 'keepEdited',
  kind: 'confirm',
  path,
  text: `${tilde(look, path)} was edited by hand or is not ours. Back it up and replace it?`,
  initial: true,
})

/** What clients may ask. */
export const haproxy: Part = {
  name: 'haproxy',
  about: (machine, { mode, settings }) =>
    mode === 'proxy'
      ? {
          title: 'HAProxy',
          what: 'lets in only what is on the list',
          where: `${machine.tailscale.ipv4 ?? '100.x.y.z'}:${settings.port}`,
        }
      : { title: 'HAProxy', what: 'goes', where: tilde(machine, places(machine).proxy) },
  steps: (machine, setup) => (setup.mode === 'proxy' ? withProxy(machine, setup) : without(machine, setup)),
  checks: gatewayChecks,
  async questions(look, machine, setup): Promise<Question[]> {
    return (await editedFiles(look, machine, setup)).map((path) => editedQuestion(look, path))
  },
}
