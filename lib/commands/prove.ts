import { findTarget, partChecks, probes } from '../checks/index.ts'
import { quick } from '../checks/openai.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import type { ProbeKeys } from '../gateway/proofs/probe-keys.ts'
import { withProbeKeys } from '../gateway/proofs/probes.ts'
import type { Target } from '../gateway/proofs/target.ts'
import { exitCodes } from '../host/command.ts'
import type { Host } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import type { Machine } from '../site/machine.ts'
import { smallest } from '../site/models.ts'
import type { Mode } from '../site/receipt.ts'
import type { Setup } from '../site/setup.ts'
import { counts } from '../steps/results.ts'
import { afterInstall, type Check, observeAll, type Result } from '../steps/step.ts'
import type { Ui } from './cli.ts'
import { prepare } from './prepare.ts'
import { proofLine } from './screens/work.ts'

export interface Proof {
  machine: Machine
  setup: Setup
  target: Target
  results: Result[]
  code: number
}

/** The checks of the parts, and what the live gateway is asked. */
export const everyCheck = (machine: Machine, setup: Setup, target: Target): Check[] => [
  ...partChecks(machine, setup),
  ...(setup.mode === 'proxy' ? probes(target, gatewayOf(machine, setup)) : []),
]

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
      : results.some(({ id }) => id === 'ollama.absent')
        ? `no model answered; give the gateway an engine: ${typed('nodes')} add NAME ADDRESS`
        : `no model answered; get the smallest one: ${typed('warm')} ${smallest}`
    return { code: exitCodes.partly, text: `NOT PROVEN: ${Math.max(unproven, 1)}. ${numbers}; ${hint}.` }
  }
  return { code: exitCodes.done, text: `ALL AS PROMISED: ${numbers}.` }
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
  ui.say(proofLine(results, text, code, ui.chalk))
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
