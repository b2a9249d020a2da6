import { gatewayOf } from '../gateway/of-site.ts'
import { exitCodes, Stop } from '../host/command.ts'
import type { Host, Look } from '../host/host.ts'
import { askingOnce } from '../host/look.ts'
import { consent, consentQuestion, exposeQuestion } from '../parts/consent.ts'
import { parts, partsOf } from '../parts/index.ts'
import type { Part, Question } from '../parts/part.ts'
import { programsOf } from '../parts/programs.ts'
import { platformOf } from '../platform/here.ts'
import { engineAddress } from '../site/engine.ts'
import { type Machine, survey } from '../site/machine.ts'
import type { Mode } from '../site/receipt.ts'
import { withModels } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { dryHost, type Intent } from '../steps/dry-run.ts'
import { saveReceipt } from '../steps/receipt.ts'
import { type Check, converge, isStep, observe, type Result } from '../steps/step.ts'
import type { Ui } from './cli.ts'

/** What install would do: the results of all checks, with `planned` where something is to be done, and the intents. */
export interface Plan {
  results: Result[]
  intents: Intent[]
  /** advice to know before the yes */
  advice: Result[]
}

/** The person's choice about the proxy, from flags, from before, or asked; `--yes` keeps an earlier choice. */
export async function decideMode(
  ui: Ui,
  setup: Setup,
  known: boolean,
  flags: { noProxy: boolean; expose: boolean },
): Promise<Mode> {
  if (!flags.noProxy && known && (setup.receipt.mode === 'proxy' || ui.yes || !ui.attended)) return setup.receipt.mode
  if (!flags.noProxy) {
    if (ui.attended && !ui.yes) ui.say(consent)
    if (await ui.confirm(consentQuestion, true)) return 'proxy'
  }
  if (flags.expose) return 'exposed'
  return (await ui.confirm(exposeQuestion, false)) ? 'exposed' : 'local'
}

/** Asks what the parts want to know, before anything is planned. */
export async function askAll(ui: Ui, look: Look, machine: Machine, setup: Setup): Promise<void> {
  for (const part of parts) {
    for (const question of (await part.questions?.(look, machine, setup)) ?? []) await askOne(ui, question, setup)
  }
}

/** Names the models in the settings, comments and all else as they are. */
export function nameModels(setup: Setup, models: string[]): void {
  setup.settings = { ...setup.settings, models }
  setup.settingsText = withModels(setup.settingsText, models)
}

/** Asks one question and keeps the answer. */
export async function askOne(ui: Ui, question: Question, setup: Setup): Promise<void> {
  if (question.kind === 'choose') {
    nameModels(setup, await ui.choose(question.text, question.choices))
    return
  }
  const answer = await ui.confirm(question.text, question.initial)
  if (question.id === 'keepEdited') {
    if (!answer) setup.answers.keepEdited.push(question.path)
  } else if (question.id === 'stopOther' || question.id === 'power' || question.id === 'firewall') {
    setup.answers[question.id] = answer
  }
}

/** Goes through every step with a host that only says. Throws `Stop` when a precondition is missed. */
export async function makePlan(look: Look, machine: Machine, setup: Setup): Promise<Plan> {
  const plan: Plan = { results: [], intents: [], advice: [] }
  const host = dryHost(askingOnce(look), (intent) => plan.intents.push(intent))
  // What is only imagined must not get into the receipt of what was done.
  const imagined = { ...setup, receipt: structuredClone(setup.receipt) }
  for (const part of partsOf(setup.mode)) {
    for (const check of part.steps(machine, imagined)) {
      const result = await foresee(check, host, plan.results)
      plan.results.push(result)
      if (check.ahead && result.state === 'advice') plan.advice.push(result)
    }
  }
  plan.intents = [...new Map(plan.intents.map((intent) => [`${intent.kind} ${intent.text}`, intent])).values()]
  return plan
}

async function foresee(check: Check, host: Host, before: Result[]): Promise<Result> {
  const result = await observe(check, host)
  if (result.state !== 'missed') return result
  if (!isStep(check))
    throw new Stop(check.exit ?? exitCodes.failed, `${check.title}: ${result.saw}. ${result.remedy ?? ''}`.trim())
  const first = before.some(({ id, state }) => state === 'planned' && check.after?.includes(id))
  await check.apply(host).catch((error: unknown) => {
    if (!first || !(error instanceof Stop)) throw error
  })
  return { ...result, state: 'planned', remedy: undefined }
}

const headings: [Intent['kind'], string][] = [
  ['package', 'Packages'],
  ['file', 'Files'],
  ['folder', 'Folders'],
  ['removal', 'Removed'],
  ['service', 'Services'],
  ['download', 'Downloads'],
  ['sudo', 'With your password (sudo)'],
]

/** The plan in words: what is there, then packages, files, services, ports, sudo. */
export function planText(plan: Plan, machine: Machine, setup: Setup): string {
  const planned = plan.results.filter((result) => result.state === 'planned')
  const groups = headings.flatMap(([kind, title]) => {
    const intents = plan.intents.filter((intent) => intent.kind === kind)
    return intents.length ? [`${title}:`, ...intents.map((intent) => `  ${shorten(intent.text, machine)}`)] : []
  })
  const sudo = plan.intents.some((intent) => intent.kind === 'sudo')
    ? []
    : [
        `With your password (sudo): nothing of ours; ${platformOf(machine).packages.name} and Tailscale ask for it themselves when they are installed`,
      ]
  return [
    'What will be done:',
    ...planned.map((result) => `  + ${result.title} (now: ${result.saw})`),
    ...plan.advice.flatMap(({ saw, remedy }) => [`  ! ${saw}`, `    → ${remedy}`]),
    '',
    ...groups,
    'Ports:',
    ...ports(machine, setup).map((port) => `  ${port}`),
    ...sudo,
    ...(plan.intents.some((intent) => intent.kind === 'service') ? [background] : []),
  ].join('\n')
}

const background =
  'macOS will show "Background Items Added" for ollama-engine, haproxy-gateway, gateway-observer and warm-models: these are ours; switched off there, they do not start.'

const shorten = (text: string, machine: Machine): string => text.replaceAll(machine.home, '~')

function ports(machine: Machine, setup: Setup): string[] {
  const address = machine.tailscale.ipv4 ?? '100.x.y.z, known once Tailscale is up,'
  const engine = `${setup.mode === 'exposed' ? address : engineAddress(machine, setup)}:${setup.settings.engine.port}`
  if (setup.mode === 'exposed')
    return [
      `${engine} (Ollama: every endpoint, deletion included, open to your tailnet, without source guard and Host check; on this Mac \`ollama\` then needs OLLAMA_HOST=${engine})`,
    ]
  const own = `${engine} (Ollama, this Mac only)`
  if (setup.mode === 'local') return [own]
  const bound = machine.tailscale.ipv4
    ? gatewayOf(machine, setup).listeners.flatMap((listener) => listener.addresses)
    : [address]
  return [...bound.map((one) => `${one} port ${setup.settings.port} (HAProxy, tailnet only)`), own]
}

/** Applies part by part, looking at the machine anew before each; stops at the first step that stays missed. */
export async function applyAll(ui: Ui, host: Host, machine: Machine, setup: Setup): Promise<Result[]> {
  const results: Result[] = []
  setup.receipt.mode = setup.mode
  await saveReceipt(host, setup.receipt)
  let now = machine
  let changed = false
  for (const part of partsOf(setup.mode)) {
    if (changed) now = await survey(host, now)
    setup.programs = await programsOf(host, now, setup.receipt)
    const done = await applyPart(ui, host, part, now, setup)
    changed = done.some((result) => result.state === 'done')
    results.push(...done)
  }
  Object.assign(machine, now)
  return results
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

async function applyPart(ui: Ui, host: Host, part: Part, machine: Machine, setup: Setup): Promise<Result[]> {
  const results: Result[] = []
  for (const check of part.steps(machine, setup)) {
    const done = isStep(check) && check.interactive ? () => {} : ui.busy(check.title)
    const result = await (isStep(check) ? converge(check, host) : observe(check, host)).finally(done)
    results.push(result)
    ui.result(result)
    if (result.state === 'missed')
      throw new Stop(
        result.exit ?? check.exit ?? exitCodes.failed,
        `Stopped at "${result.title}": ${sentence(result.saw)} ${result.remedy ?? ''}`.trim(),
      )
  }
  return results
}

/** The diffs of files that are there already. */
export const diffs = (plan: Plan, look: Look): string[] =>
  plan.intents.flatMap((intent) => (intent.diff ? [intent.diff.replaceAll(look.home, '~')] : []))

/** Why nothing is done: files edited by hand may be left as they are. */
export function nothingToDo(plan: Plan, setup: Setup): string {
  const kept = setup.answers.keepEdited.length === 0 ? [] : plan.results.filter((result) => result.state === 'skipped')
  return kept.length === 0
    ? 'Nothing to do: everything is as the settings say.'
    : `Nothing to do; ${kept.map((result) => result.saw).join(', ')}.`
}
