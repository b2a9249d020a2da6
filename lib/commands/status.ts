import { findTarget } from '../checks/index.ts'
import { borderRules } from '../gateway/border.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { type Look, realLook } from '../host/host.ts'
import { asRop, called, typed } from '../host/typed.ts'
import { found } from '../parts/command.ts'
import { lastBackup } from '../people/backup.ts'
import { asOwn } from '../people/own-probes.ts'
import { counts } from '../steps/results.ts'
import { statusFromOutside } from './as-anybody.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { fromOutside } from './outside.ts'
import { overview } from './overview.ts'
import { installed, type Prepared, prepare } from './prepare.ts'
import { report as usageReport } from './report.ts'
import { type Seen, statusScreen } from './screens/status.ts'
import { statement } from './statement.ts'
import { looked } from './waiting.ts'
import { watch } from './watch.ts'

/** How the server does: the checks of all parts, and what happens there now. */
export async function status(ui: Ui, flags: Flags): Promise<number> {
  if (flags.watch) return watch(ui)
  if (flags.report) return usageReport(ui, flags)
  const lone = ['since', 'csv'].find((flag) => flags[flag] !== undefined)
  if (lone) throw new Stop(exitCodes.usage, `--${lone} goes with --report: ${typed('status')} --report --${lone}`)
  const look = asOwn(realLook(ui.note, ui.waiting))
  if (fromOutside(look)) return statusFromOutside(ui, look)
  const prepared = await prepare(look, ui)
  if (flags.border) return border(prepared)
  if (!ui.json && !ui.verbose && !(await installed(look))) {
    ui.say(`Nothing of remote-ollama-proxy is installed here yet; ${called('install')} does it.`)
    return exitCodes.failed
  }
  const done = ui.busy('Looking at every part')
  const tell = ui.verbose ? ui.result : () => {}
  const { results, shown, setup, waiting } = await looked(look, prepared, tell).finally(done)
  const { machine } = prepared
  const code = counts(results).missed > 0 ? exitCodes.failed : exitCodes.done
  const target = await findTarget(look, machine, setup)
  const said = statement({ machine, setup, target, results: shown, code })
  if (ui.json)
    process.stdout.write(`${JSON.stringify({ mode: setup.mode, code, statement: said, results }, null, 2)}\n`)
  if (ui.verbose || setup.mode === 'exposed') ui.say(`\n${said}\n`)
  if (!ui.json) await show(ui, look, { machine, setup, results: shown, waiting })
  return code
}

/** What the machine in front of this one is told, for `nft -f`. */
function border({ machine, setup }: Prepared): number {
  const rules = borderRules(gatewayOf(machine, setup))
  if (rules === undefined)
    throw new Stop(
      exitCodes.precondition,
      'There is nothing to forward: settings.yaml has neither listeners.public nor listeners.lan with an IPv4 address.',
    )
  process.stdout.write(rules)
  return exitCodes.done
}

async function show(ui: Ui, look: Look, seen: Omit<Seen, 'overview'>): Promise<void> {
  const { machine, setup } = seen
  const named = (await found(look, machine)) ? asRop : typed
  const [now, last] = await Promise.all([overview(look, machine, setup), lastBackup(look)])
  ui.say(statusScreen({ ...seen, overview: now, backup: last?.at.getTime() }, named, ui.chalk))
}

export const script: Script = {
  usage: `Usage: ${typed('status')} [--watch | --report [--since 7d] [--csv] | --border] [--json]
Looks at every part and says how it does: what is wrong first, then what happens now. Changes nothing, asks no model.

  --verbose            every check, what is reachable, and how
  --watch              who generates with which model, what waits, what was refused and why; every second until q
  --report             who used how much, by model
  --since TIME         from when on: 7d, 4w or 2026-11-01 (7d)
  --csv                the report as CSV
  --border             nftables rules for the machine that stands between this one and the internet
  --json               one JSON document on stdout (with --watch one a line)`,
  options: {
    verbose: { type: 'boolean' },
    watch: { type: 'boolean' },
    report: { type: 'boolean' },
    since: { type: 'string' },
    csv: { type: 'boolean' },
    border: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  run: status,
}
