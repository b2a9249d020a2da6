import { hostileChecks } from '../checks/hostile.ts'
import { findTarget, partChecks, probes } from '../checks/index.ts'
import { quick } from '../checks/openai.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import type { ProbeKeys } from '../gateway/proofs/probe-keys.ts'
import { withProbeKeys } from '../gateway/proofs/probes.ts'
import type { Target } from '../gateway/proofs/target.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost, realLook } from '../host/host.ts'
import { asOwn } from '../people/own-probes.ts'
import { openRows } from '../site/endpoints.ts'
import type { Machine } from '../site/machine.ts'
import { smallest } from '../site/models.ts'
import type { Mode } from '../site/receipt.ts'
import type { Setup } from '../site/setup.ts'
import { counts, junit, tap } from '../steps/results.ts'
import { afterInstall, type Check, observeAll, type Result } from '../steps/step.ts'
import type { Flags, Ui } from './cli.ts'
import { installed, prepare } from './prepare.ts'
import { report as usageReport } from './report.ts'
import { watch } from './watch.ts'

export interface Proof {
  machine: Machine
  setup: Setup
  target: Target
  results: Result[]
  code: number
}

/** test.ts: the checks of the parts, then the probes, on the live machine. */
export async function test(ui: Ui, flags: Flags): Promise<number> {
  const host = asOwn(realHost(ui.note, ui.waiting))
  const { machine, setup } = await prepare(host, ui)
  const model = flags.model as string | undefined
  const target = await findTarget(host, machine, setup, model)
  if (model && !target.model)
    throw new Stop(
      exitCodes.usage,
      `The model ${JSON.stringify(model.slice(0, 80))} is not installed; get it with: npx tsx warm-models.ts ${smallest}`,
    )
  const all = flags.hostile === true ? attacks : everyCheck
  const checksFor = (keys?: ProbeKeys) => select(all(machine, setup, { ...target, keys }), flags)
  const checks = checksFor()
  if (checks.length === 0) throw new Stop(exitCodes.usage, `No check is called that; see: npx tsx test.ts --list`)
  if (flags.list) return list(ui, checks)
  const results = await withProbeKeys(host, setup.settings, (keys, renew) =>
    observeAll(checksFor(keys), host, ui.result, renew),
  )
  return report(ui, host, results, checks, flags, target)
}

const everyCheck = (machine: Machine, setup: Setup, target: Target): Check[] => [
  ...partChecks(machine, setup),
  ...(setup.mode === 'proxy' ? probes(target, gatewayOf(machine, setup)) : []),
]

/** The hostile requests, and the check that they rest on. Never without the gateway: they are not meant for Ollama. */
function attacks(machine: Machine, setup: Setup, target: Target): Check[] {
  if (setup.mode !== 'proxy')
    throw new Stop(exitCodes.precondition, '--hostile is for the proxy, which this machine does not have.')
  const service = partChecks(machine, setup).filter((check) => check.id === 'haproxy.service')
  return [...service, ...hostileChecks(target, gatewayOf(machine, setup))]
}

/** Disturbing ones run last, and only when asked for. */
function select(checks: Check[], flags: Flags): Check[] {
  const only = flags.only as string[] | undefined
  const wanted = checks
    .filter((check) => !only || only.some((id) => check.id === id || check.id.startsWith(`${id}.`)))
    .filter((check) => flags['skip-inference'] !== true || !check.inference)
    .filter((check) => flags.disturbing === true || !check.disturbs)
  const calm = wanted.filter((check) => !check.disturbs)
  return [...calm, ...wanted.filter((check) => check.disturbs)].map((check) => (only ? { ...check, needs: [] } : check))
}

function list(ui: Ui, checks: Check[]): number {
  if (ui.json)
    process.stdout.write(
      `${JSON.stringify(
        checks.map(({ id, title }) => ({ id, title })),
        null,
        2,
      )}\n`,
    )
  else for (const check of checks) ui.say(`${check.id.padEnd(40)} ${check.title}`)
  return exitCodes.done
}

async function report(
  ui: Ui,
  host: Host,
  results: Result[],
  checks: Check[],
  flags: Flags,
  target: Target,
): Promise<number> {
  const { code, text } = verdict(results, checks, flags['skip-inference'] === true)
  if (typeof flags.junit === 'string') await host.write(flags.junit, junit(results), 0o644)
  if (flags.tap) process.stdout.write(`${tap(results)}\n`)
  else if (flags.json)
    process.stdout.write(`${JSON.stringify({ summary: text, code, model: target.model?.name, results }, null, 2)}\n`)
  else ui.say(`\n${text}`)
  return code
}

/** One sentence that cannot be mistaken for a pass, and the exit code. */
export function verdict(results: Result[], checks: Check[], skippedOnPurpose = false): { code: number; text: string } {
  const { passed, missed, advice, skipped } = counts(results)
  const numbers = `${passed} passed, ${missed} missed, ${advice} advice, ${skipped} skipped`
  const asked = checks.filter((check) => check.inference && !check.closed).map((check) => check.id)
  const unproven = results.filter((result) => asked.includes(result.id) && result.state === 'skipped').length
  if (missed > 0) return { code: exitCodes.failed, text: `NOT AS PROMISED: ${numbers}.` }
  if (skippedOnPurpose || (asked.length > 0 && unproven === asked.length)) {
    const hint = skippedOnPurpose
      ? 'no model was asked (--skip-inference)'
      : `no model answered; get the smallest one: npx tsx warm-models.ts ${smallest}`
    return { code: exitCodes.partly, text: `NOT PROVEN: ${Math.max(unproven, 1)}. ${numbers}; ${hint}.` }
  }
  return { code: exitCodes.done, text: `ALL AS PROMISED: ${numbers}.` }
}

/** status.ts: the checks alone. */
export async function status(ui: Ui, flags: Flags): Promise<number> {
  if (flags.watch) return watch(ui)
  if (flags.report) return usageReport(ui, flags)
  const look = asOwn(realLook(ui.note, ui.waiting))
  const { machine, setup } = await prepare(look, ui)
  if (!(await installed(look))) ui.say('Nothing of remote-ollama-proxy is installed here yet; install.ts does it.')
  const checks = partChecks(machine, setup)
  const results = await observeAll(checks, look, ui.result)
  const { missed } = counts(results)
  const target = await findTarget(look, machine, setup)
  const said = statement({ machine, setup, target, results, code: 0 })
  const code = missed > 0 ? exitCodes.failed : exitCodes.done
  if (ui.json)
    process.stdout.write(`${JSON.stringify({ mode: setup.mode, code, statement: said, results }, null, 2)}\n`)
  else
    ui.say(`\n${said}\n\n${missed > 0 ? `NOT AS PROMISED: ${missed} missed.` : 'All parts are as the settings say.'}`)
  return code
}

/** With three answers of a model at most; with one where other groups are open than most clients ask. */
function fewAnswers(checks: Check[]): Check[] {
  const open = checks.filter(({ inference, closed }) => inference && !closed)
  const named = open.filter(({ id }) => quick.includes(id))
  const asking = named.length > 0 ? named : open.slice(0, 1)
  return checks.filter((check) => !check.inference || asking.includes(check))
}

/** The end of install: everything that does not disturb, with three inferences at most. */
export async function prove(ui: Ui, look: Host, mode: Mode, before: Machine): Promise<Proof> {
  const { machine, setup } = await prepare(look, ui, { mode, before })
  const target = await findTarget(look, machine, setup)
  const checksFor = (keys?: ProbeKeys) =>
    fewAnswers(everyCheck(machine, setup, { ...target, keys }).filter((check) => !check.disturbs))
  const checks = checksFor()
  const results = await withProbeKeys(look, setup.settings, (keys, renew) =>
    observeAll(checksFor(keys), look, (result) => ui.result(afterInstall(result)), renew),
  )
  const { code, text } = verdict(results, checks)
  ui.say(`\n${text}`)
  return {
    machine,
    setup,
    target,
    results,
    code: setup.mode === 'exposed' || setup.mode === 'local' ? chosen(results, code) : code,
  }
}

/** Who declined the proxy gets what was chosen: the miss that says "not protected" is no failure of install. */
function chosen(results: Result[], code: number): number {
  const others = results.filter(
    (result) => result.state === 'missed' && !['isolation.not-protected', 'ollama.loopback-only'].includes(result.id),
  )
  return others.length > 0 ? code : exitCodes.done
}

/** Where Ollama itself is, and every way to it or to the gateway that was seen beside the one that is meant. */
function waysIn(results: Result[], onLoopback: boolean): string[] {
  const seen = results.filter(({ id }) => ['isolation.served', 'isolation.forwards'].includes(id))
  const past = seen.filter(({ state }) => state === 'missed').map(({ saw }) => `  NOT PROTECTED: ${saw}`)
  const more = seen.filter(({ state }) => state === 'advice').map(({ saw }) => `  also reached: ${saw}`)
  if (past.length > 0) return [...past, ...more]
  return [onLoopback ? '  Ollama itself on loopback only' : '  NOT PROVEN that Ollama is on loopback only', ...more]
}

/** What answers where, and what does not, in words that come from the results. */
export function statement(proof: Proof): string {
  const { machine, setup, results, target } = proof
  const good = (id: string) =>
    results.some((result) => result.id === id && (result.state === 'ok' || result.state === 'done'))
  const silent = results.filter(
    (result) => /^isolation\.\d|^isolation\.[0-9a-f-]+$/.test(result.id) && result.state === 'ok',
  )
  const unproven = results.filter((result) => result.state === 'skipped').map((result) => result.id)
  const rows = openRows(target.groups).map((row) => `${row.method} ${row.path}`)
  const lines = [
    'Reachability',
    setup.mode === 'proxy'
      ? good('haproxy.listens')
        ? `  answers on ${machine.tailscale.ipv4}:${setup.settings.port}${machine.tailscale.name && !machine.tailscale.unresolved ? ` (${machine.tailscale.name})` : ''} for: ${rows.join(', ')}`
        : '  NOT PROVEN that the gateway answers on the tailnet address'
      : setup.mode === 'local'
        ? '  no remote access: Ollama answers on this Mac only'
        : `  NOT PROTECTED: every Ollama endpoint answers on ${machine.tailscale.ipv4}:${setup.settings.engine.port}, model deletion included`,
    ...(setup.mode === 'proxy' && good('haproxy.identity')
      ? ['  refuses everything else there, model management included']
      : []),
    silent.length
      ? `  nothing on ${silent.map((result) => /on (\S+)/.exec(result.title)?.[1]).join(', ')}`
      : '  no other address was tried',
    ...(results.some((result) => result.id === 'firewall.haproxy' && result.state === 'advice')
      ? [
          '  NOT PROVEN from outside: the application firewall is on and may hold back HAProxy; try the curl below from another device',
        ]
      : []),
    ...waysIn(results, good('ollama.loopback-only')),
    good('ollama.cloud-off') ? '  cloud forwarding off' : '  NOT PROVEN that cloud forwarding is off',
    unproven.length ? `  not proven (skipped): ${unproven.join(', ')}` : '  nothing was skipped',
  ]
  return lines.join('\n')
}
