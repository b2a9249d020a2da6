import { type Host, realHost } from '../host/host.ts'
import { parseSettings, readSettings } from '../site/settings.ts'
import { alerts } from './duties/alerts.ts'
import { budgets } from './duties/budgets.ts'
import { certificates } from './duties/certificates.ts'
import { identities } from './duties/identities.ts'
import { ipv6 } from './duties/ipv6.ts'
import { lists } from './duties/lists.ts'
import { loaded } from './duties/loaded.ts'
import { nodeErrors } from './duties/node-errors.ts'
import { nodes } from './duties/nodes.ts'
import { overlong } from './duties/overlong.ts'
import { type Duty, keep } from './duty.ts'
import { metrics } from './metrics.ts'
import { nodesInForce } from './nodes-in-force.ts'
import { ownLog } from './own-log.ts'
import { emptying, requests } from './requests.ts'
import { listing, serving } from './serving.ts'
import { signs } from './sign.ts'
import { usage } from './usage.ts'

const say = (line: string): void => void process.stderr.write(`${new Date().toISOString()} ${line}\n`)

/** The settings as they were last read without a fault, the defaults at first; and those whose nodes the gateway has. */
function current() {
  let settings = parseSettings('', '')
  let nodes = settings
  const duty: Duty = {
    name: 'settings',
    everyMs: 1000,
    async run(host) {
      settings = await readSettings(host)
      nodes = await nodesInForce(host, settings)
    },
  }
  return { duty, now: () => settings, ofNodes: () => nodes }
}

/** observer.ts: does its duties until it is told to end, then finishes what has come. */
export async function observe(host: Host = realHost()): Promise<void> {
  const [settings, counted, measured] = [current(), await usage(host), metrics()]
  await settings.duty.run(host).catch(() => {})
  const wrong = nodeErrors(settings.ofNodes)
  const reading = requests(host, settings.now, counted.start, [counted, measured, wrong])
  const books = [reading, counted, budgets(counted)]
  const kept = keep(host, [settings.duty, ...books, emptying(counted.kept), ownLog], say)
  const helping = [
    loaded(settings.now),
    nodes(settings.ofNodes),
    wrong,
    overlong(),
    identities(),
    ipv6,
    lists(settings.ofNodes),
    alerts(settings.now),
  ]
  const secured = keep(host, [certificates(settings.now)], say)
  const others = keep(host, [serving(settings.now, measured), listing(settings.now, settings.ofNodes), ...helping], say)
  const living = keep(host, [signs(() => [kept, others, secured].flatMap((one) => one.faults()), reading.lost)], say)
  say('observing')
  await new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
  await Promise.all([kept.stop(), living.stop()])
  for (const duty of books) await duty.run(host).catch((error) => say(`${duty.name}: ${error}`))
  process.exit(0)
}
