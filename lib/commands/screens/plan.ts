import type { ChalkInstance } from 'chalk'
import { gatewayOf } from '../../gateway/of-site.ts'
import { partsOf } from '../../parts/index.ts'
import type { About } from '../../parts/part.ts'
import { jobsOf, platformOf } from '../../platform/here.ts'
import { engineAddress } from '../../site/engine.ts'
import type { Machine } from '../../site/machine.ts'
import type { Setup } from '../../site/setup.ts'
import type { Intent } from '../../steps/dry-run.ts'
import type { Result } from '../../steps/step.ts'
import type { Plan } from '../plan.ts'
import { adviceLine } from './misses.ts'
import { columns } from './wrap.ts'

/** Where so few steps are left, each is named. */
const few = 4

const plannedOf = (plan: Plan): Result[] => plan.results.filter(({ state }) => state === 'planned')

/** The plan on one screen: by part what it is for and where, what will be asked meanwhile, what is worth knowing before. */
export function planScreen(plan: Plan, machine: Machine, setup: Setup, chalk: ChalkInstance): string {
  const planned = plannedOf(plan)
  const lines = planned.length <= few ? planned.map(stepLine) : partLines(planned, machine, setup)
  return [
    `What will be done (${planned.length === 1 ? '1 step' : `${planned.length} steps`}):`,
    ...lines,
    ...(plan.asks.size > 0 ? [`Asked meanwhile: ${asked(plan)}.`] : []),
    ...(planned.length > few && setup.mode === 'proxy' && plan.intents.some(({ kind }) => kind === 'service')
      ? [background(machine)]
      : []),
    ...plan.advice.map((one) => adviceLine(one, chalk)),
  ].join('\n')
}

/** What the same parts ask for stands together. */
function asked({ asks }: Plan): string {
  const byWhom = new Map<string, string[]>()
  for (const [what, by] of asks) byWhom.set(by.join(', '), [...(byWhom.get(by.join(', ')) ?? []), what])
  return [...byWhom].map(([by, whats]) => `${whats.join(', ')} (${by})`).join('; ')
}

/** From what is so now to what shall be. */
export const stepLine = ({ title, saw }: Result): string => `  + ${saw} → ${title}`

function partLines(planned: Result[], machine: Machine, setup: Setup): string[] {
  const rows = partsOf(machine, setup).flatMap((part) => {
    const ids = part.steps(machine, setup).map(({ id }) => id)
    return planned.some(({ id }) => ids.includes(id)) ? [rowOf(part.about(machine, setup))] : []
  })
  return columns(rows)
}

const rowOf = ({ title, what, where }: About): string[] => [title, what, where]

const background = (machine: Machine): string => jobsOf(machine).shown

const headings: [Intent['kind'], string][] = [
  ['package', 'Packages'],
  ['file', 'Files'],
  ['folder', 'Folders'],
  ['removal', 'Removed'],
  ['service', 'Services'],
  ['download', 'Downloads'],
  ['sudo', 'With your password (sudo)'],
]

/** What is done to the machine, under a heading for each kind. */
export const intentLines = (intents: Intent[], home: string): string[] =>
  headings.flatMap(([kind, title]) => {
    const texts = new Set(
      intents.filter((intent) => intent.kind === kind).map(({ text }) => text.replaceAll(home, '~')),
    )
    return texts.size > 0 ? [`${title}:`, ...[...texts].map((text) => `  ${text}`)] : []
  })

/** All of the plan, to be read page by page: every step; packages, files, services, ports; each difference. */
export function planPages(plan: Plan, machine: Machine, setup: Setup): string[][] {
  const diffs = plan.intents.flatMap(({ diff }) => (diff ? [diff.replaceAll(machine.home, '~').split('\n')] : []))
  return [
    ['Steps:', ...plannedOf(plan).map(stepLine)],
    [...intentLines(plan.intents, machine.home), 'Ports:', ...ports(machine, setup).map((port) => `  ${port}`)],
    ...diffs,
  ]
}

/** The same in one. */
export const planDetails = (plan: Plan, machine: Machine, setup: Setup): string =>
  planPages(plan, machine, setup).flat().join('\n')

/** With the question below it a page stays on a screen of 24 lines; some of them take two. */
const page = 18

/** The lines of a page that fit a screen, and by what command the rest is seen. */
export const folded = (lines: string[], rest: string): string =>
  (lines.length <= page ? lines : [...lines.slice(0, page - 1), `  ${lines.length - page + 1} more: ${rest}`]).join(
    '\n',
  )

function ports(machine: Machine, setup: Setup): string[] {
  const address = machine.tailscale.ipv4 ?? '100.x.y.z, known once Tailscale is up,'
  const engine = `${setup.mode === 'exposed' ? address : engineAddress(machine, setup)}:${setup.settings.engine.port}`
  if (setup.mode === 'exposed')
    return [
      `${engine} (Ollama: every endpoint, deletion included, open to your tailnet, without source guard and Host check; on ${platformOf(machine).words.here} \`ollama\` then needs OLLAMA_HOST=${engine})`,
    ]
  const own = `${engine} (Ollama, ${platformOf(machine).words.here} only)`
  if (setup.mode === 'local') return [own]
  const [tailnet, ...further] = gatewayOf(machine, setup).listeners
  const bound = machine.tailscale.ipv4 ? (tailnet?.addresses ?? []) : [address]
  return [
    ...bound.map((one) => `${one} port ${setup.settings.port} (HAProxy, tailnet only)`),
    ...further.flatMap(({ name, addresses, port }) => addresses.map((one) => `${one} port ${port} (HAProxy, ${name})`)),
    own,
  ]
}
