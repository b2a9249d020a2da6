import type { Look } from '../../host/host.ts'
import { ancestry, type Keeper, type Keepers, type Owner, type Process, type Written } from '../platform.ts'
import { packetFilter } from './nftables.ts'
import { labels, places } from './places.ts'
import { command, variables } from './units.ts'

/** The unit that a process belongs to, by its control group: `0::/system.slice/ollama.service`. */
export const unitOf = (text: string): string | undefined => /\/system\.slice\/([^/\n]+\.service)/.exec(text)?.[1]

const byUnit = (unit: string): Keeper => ({
  who: `the service ${unit}`,
  job: unit,
  stop: [['systemctl', 'disable', '--now', unit]],
  back: ['systemctl', 'enable', '--now', unit],
})

const userUnit = (user: string): Keeper => ({
  who: `a service of ${user}`,
  stop: [],
  back: [],
  must: `stop it as ${user}: systemctl --user stop NAME (systemctl --user list-units shows it)`,
})

async function of(look: Look, _who: Owner, all: Process[], pid: number): Promise<Keeper | undefined> {
  const group = (await look.read(`/proc/${pid}/cgroup`)) ?? ''
  const unit = unitOf(group)
  if (unit !== undefined) return byUnit(unit)
  const process = all.find((one) => one.pid === pid)
  if (/\/user@\d+\.service\//.test(group)) return userUnit(process?.user ?? 'its user')
  const [, parent] = ancestry(all, pid)
  return parent && { who: `${parent.args.slice(0, 120)} (process ${parent.pid})`, stop: [['kill', `${pid}`]], back: [] }
}

/** Units of the machine's owner that are not ours and speak of something. */
async function written(look: Look, _who: Owner, about: RegExp): Promise<Written[]> {
  const folder = places().agents
  const names = (await look.list(folder)).filter((name) => name.endsWith('.service'))
  const foreign = names.filter(
    (name) => name !== packetFilter.unit && !Object.values(labels).some((label) => label === name),
  )
  const found = await Promise.all(
    foreign.map(async (name) => [name, (await look.read(`${folder}/${name}`)) ?? ''] as const),
  )
  return found.flatMap(([name, text]) =>
    about.test(text)
      ? [
          {
            keeper: byUnit(name),
            words: command(text) ?? [],
            variable: (wanted: string) => variables(text).find(([one]) => one === wanted)?.[1],
            when: 'whenever the machine starts',
          },
        ]
      : [],
  )
}

export const keepers: Keepers = {
  of,
  written,
  ollamaApp: async () => undefined,
  isOllamaApp: () => false,
  // systemctl says so of a unit that is gone, and kill of a process that has ended.
  harmless: ([program]) => (program === 'systemctl' ? [0, 5] : program === 'kill' ? [0, 1] : [0]),
}
