import { hostileChecks } from '../checks/hostile.ts'
import { findTarget, partChecks } from '../checks/index.ts'
import { dnsChecks } from '../checks/names.ts'
import { trials } from '../checks/trials.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import type { ProbeKeys } from '../gateway/proofs/probe-keys.ts'
import { withProbeKeys } from '../gateway/proofs/probes.ts'
import type { Target } from '../gateway/proofs/target.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Host, realHost } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { asOwn } from '../people/own-probes.ts'
import type { Machine } from '../site/machine.ts'
import { smallest } from '../site/models.ts'
import type { Setup } from '../site/setup.ts'
import { junit, tap } from '../steps/results.ts'
import { type Check, observeAll, type Result } from '../steps/step.ts'
import { resolverOf } from './arguments.ts'
import { type Flags, type Script, type Ui, unbroken } from './cli.ts'
import { borderOf } from './dns.ts'
import { prepare } from './prepare.ts'
import { everyCheck, verdict } from './prove.ts'
import { worth } from './screens/misses.ts'
import { waitingIn, withApply } from './waiting.ts'

/** test.ts: the checks of the parts, then the probes, on the live machine. */
export async function test(ui: Ui, flags: Flags): Promise<number> {
  const host = asOwn(realHost(ui.note, ui.waiting))
  const { machine, setup } = await prepare(host, ui)
  const model = flags.model as string | undefined
  const target = await findTarget(host, machine, setup, model)
  if (model && !target.model)
    throw new Stop(
      exitCodes.usage,
      `The model ${JSON.stringify(model.slice(0, 80))} is not installed; get it with: ${typed('warm')} ${smallest}`,
    )
  const names = namesAsked(machine, setup, flags)
  const checksFor = (keys?: ProbeKeys) =>
    select([...all(host, machine, setup, { ...target, keys }, flags), ...names], flags)
  const checks = checksFor()
  if (checks.length === 0) throw new Stop(exitCodes.usage, `No check is called that; see: ${typed('test')} --list`)
  if (flags.list) return list(ui, checks)
  const waits = (await waitingIn(host, setup)) !== undefined
  const named = (result: Result) => (waits ? withApply(result) : result)
  const results = await withProbeKeys(host, setup.settings, (keys, renew) =>
    observeAll(checksFor(keys), host, (result) => ui.result(named(result)), renew),
  )
  return report(ui, host, results.map(named), checks, flags, target)
}

/** Whether the resolver that was named knows this gateway's names. */
function namesAsked(machine: Machine, setup: Setup, flags: Flags): Check[] {
  const resolver = resolverOf(flags)
  if (resolver === undefined) return []
  return dnsChecks(gatewayOf(machine, setup), resolver, borderOf(flags))
}

/** Everything that may be asked for together: the hostile requests, or all others and what disturbs. */
function all(host: Host, machine: Machine, setup: Setup, target: Target, flags: Flags): Check[] {
  if (flags.hostile === true) return attacks(machine, setup, target)
  const tried = setup.mode === 'proxy' ? trials(target, gatewayOf(machine, setup)) : []
  return [
    ...everyCheck(machine, setup, target),
    ...tried.map((trial) => ({ ...trial, disturbs: true, check: () => unbroken(() => trial.attempt(host)) })),
  ]
}

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
  else ui.say(['', ...(ui.verbose ? [] : worth(results, results.length, '', ui.chalk)), text].join('\n'))
  return code
}

export const script: Script = {
  usage: `Usage: ${typed('test')} [options]
Proves on this machine what is promised.

  --model NAME         ask this model; else one that is loaded, one of the settings, or the smallest
  --skip-inference     ask no model
  --verbose            each check and what it saw, not only what was missed
  --only ID            only this check or this group of checks (may be given several times)
  --resolver ADDRESS   also whether this resolver says of each name what dns prints (with --public as there)
  --hostile            instead of all these: hostile requests to the gateway, which refuses them; nothing changes
  --disturbing         also those that others notice for a moment: each node is drained and
                       counted as gone, and the observer is stopped; all is put back
  --tap | --json       for programs
  --junit FILE         JUnit's XML in a file
  --list               name the checks, run none`,
  options: {
    model: { type: 'string' },
    'skip-inference': { type: 'boolean' },
    verbose: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    resolver: { type: 'string' },
    public: { type: 'string', multiple: true },
    hostile: { type: 'boolean' },
    disturbing: { type: 'boolean' },
    tap: { type: 'boolean' },
    junit: { type: 'string' },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
  },
  log: 'test',
  run: test,
}
