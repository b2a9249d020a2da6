import { firewallRules, firewallTable } from '../gateway/firewall.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import { json, sha256 } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { jobPath, places, platformOf } from '../platform/here.ts'
import type { PacketFilter } from '../platform/platform.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { file, jobFileStep, packaged, service } from '../steps/resources.ts'
import { advice, again, type Check, type Finding, missed, ok, type Step } from '../steps/step.ts'
import { leaving } from './absent.ts'
import type { Part } from './part.ts'

const rulesFile = (at: Look | Machine): string => `${places(at).state}/firewall.nft`
/** What the system said of the rules when they were loaded, by which changes are known. */
const loadedFile = (at: Look | Machine): string => `${places(at).state}/firewall.json`

interface Loaded {
  rules: string
  shown: string
}

async function loaded(look: Look): Promise<Partial<Loaded>> {
  return (json((await look.read(loadedFile(look))) ?? '') ?? {}) as Partial<Loaded>
}

/** The kernel lists rules in words of its own, so they are compared with what it said when they were loaded. */
function inForce(filter: PacketFilter, text: string): Step {
  return {
    id: 'firewall.table',
    title: 'The firewall drops what no listener lets in',
    needs: ['firewall.service'],
    async check(look) {
      const [shown, before] = await Promise.all([filter.inForce(look, firewallTable), loaded(look)])
      if (shown === undefined) return missed(`there is no table ${firewallTable}`, again)
      if (before.rules !== sha256(text)) return missed('it has the rules of other settings', again)
      return shown === before.shown ? ok(`table ${firewallTable}`) : missed('somebody has changed its rules', again)
    },
    async apply(host) {
      await filter.load(host)
      const shown = (await filter.inForce(host, firewallTable)) ?? ''
      await host.write(loadedFile(host), JSON.stringify({ rules: sha256(text), shown } satisfies Loaded))
    },
    undone: `The table ${firewallTable} is gone`,
    async undo(host) {
      await filter.unload(host, firewallTable)
      await host.remove(loadedFile(host))
    },
    async gone(look): Promise<Finding> {
      const still = await filter.inForce(look, firewallTable)
      return still === undefined ? ok('gone') : missed('it is still in force', `nft delete table ${firewallTable}`)
    },
  }
}

/** Rules, what loads them, and what is in force. */
function wall(filter: PacketFilter, machine: Machine, setup: Setup): Step[] {
  const text = firewallRules(gatewayOf(machine, setup))
  const job = platformOf(machine).jobFiles.filled(setup.jobs[filter.unit] ?? '', {
    nft: filter.program[0] ?? '',
    rules: rulesFile(machine),
  })
  const keepEdited = setup.answers.keepEdited.includes(jobPath(machine, filter.unit))
  const { receipt } = setup
  return [
    file({
      id: 'firewall.rules',
      title: 'The firewall’s rules are written',
      path: rulesFile(machine),
      text,
      receipt,
    }),
    jobFileStep({ id: 'firewall.job', at: machine, job, receipt, keepEdited }),
    service({
      ...{ id: 'firewall.service', title: 'The firewall’s rules are loaded at every start', machine, job, receipt },
      ...{ keepEdited, oneShot: true },
    }),
    inForce(filter, text),
  ]
}

const none = (): Check => ({
  id: 'firewall.system',
  title: 'This system has the packet filter that the settings ask for',
  exit: 3,
  check: async () => missed('firewall: on needs nftables, which this system does not have', 'Set firewall: off.'),
})

const beside = ({ others }: PacketFilter): Check[] =>
  others.map(({ id, title, ask }) => ({
    id: `firewall.${id}`,
    title,
    ahead: true,
    async check(look) {
      const said = await ask(look)
      return said.is === 'wanting' ? advice(said.saw, said.help) : ok(said.saw)
    },
  }))

/** The second wall, for who wants one: what the gateway refuses by address is dropped before it. */
export const firewall: Part = {
  name: 'firewall',
  about: (_machine, { settings }) => ({
    title: 'Firewall',
    what: settings.firewall === 'on' ? 'drops what no listener lets in' : 'goes',
    where: firewallTable,
  }),
  steps(machine, setup): Check[] {
    const filter = platformOf(machine).packetFilter
    const on = setup.mode === 'proxy' && setup.settings.firewall === 'on'
    if (!filter) return on ? [none()] : []
    if (!on && !(rulesFile(machine) in setup.receipt.files)) return []
    const steps = wall(filter, machine, setup)
    if (!on) return leaving(steps)
    const { attended } = setup
    const title = 'nftables, which loads the firewall’s rules, is installed'
    const keeps = 'other programs may need it'
    return [
      packaged({ ...{ machine, name: filter.package, title, attended, keeps }, program: filter.program }),
      ...steps,
      ...beside(filter),
    ]
  },
}
