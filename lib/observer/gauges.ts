import { standingOf } from '../certificates/checks.ts'
import { left } from '../certificates/renew.ts'
import { written } from '../certificates/served.ts'
import { droppedLines, engineLoad, engineUp } from '../haproxy/runtime.ts'
import type { Look } from '../host/host.ts'
import { seen, seenBy } from '../nodes/standing.ts'
import { readRegistry } from '../people/given.ts'
import { places, platformOf } from '../platform/here.ts'
import { running } from '../site/models.ts'
import { readSettings } from '../site/settings.ts'
import type { Gauges } from './metrics.ts'
import { nodesInForce } from './nodes-in-force.ts'
import { isProbe } from './own-requests.ts'

const only = (label: string, rows: [string, number][]) =>
  rows.map(([name, value]) => ({ labels: { [label]: name }, value }))

/** Reads the numbers that only the moment knows; what cannot be read is absent rather than wrong. */
export async function readGauges(look: Look, gauges: Gauges): Promise<void> {
  for (const gauge of Object.values(gauges)) gauge.reset()
  await Promise.allSettled(
    [ofGateway, ofPeople, ofMachine, ofNodes, ofKeys, ofCertificates].map((read) => read(look, gauges)),
  )
}

async function ofGateway(look: Look, gauges: Gauges): Promise<void> {
  const info = await look.ask(places(look).adminSocket, 'show info')
  gauges.up.set(info ? 1 : 0)
  gauges.droppedLines.set(await droppedLines(look))
  gauges.engineUp.set((await engineUp(look)) ? 1 : 0)
  const load = await engineLoad(look)
  gauges.running.set(load?.running ?? 0)
  gauges.waiting.set(load?.waiting ?? 0)
}

/** Rows of the table `people` whose count is not zero: key or address, and how many run. */
export const runningBy = (table: string): [string, number][] =>
  table.split('\n').flatMap((line): [string, number][] => {
    const [, who, count] = /\bkey=(\S+) .*\bconn_cur=(\d+)/.exec(line) ?? []
    return who && !isProbe(who) && Number(count) > 0 ? [[who, Number(count)]] : []
  })

async function ofPeople(look: Look, gauges: Gauges): Promise<void> {
  const table = (await look.ask(places(look).adminSocket, 'show table people')) ?? ''
  for (const { labels, value } of only('who', runningBy(table).slice(0, 200))) gauges.runningOf.set(labels, value)
}

async function ofMachine(look: Look, gauges: Gauges): Promise<void> {
  gauges.memoryBytes.set(await platformOf(look).facts.memory(look))
  gauges.diskFree.set(await look.free(look.home))
  const { engine, role } = await readSettings(look)
  const loaded = role === 'server' ? ((await running(look, '127.0.0.1', engine.port)) ?? []) : []
  for (const { name, size } of loaded) gauges.modelBytes.set({ model: name }, size)
}

async function ofNodes(look: Look, gauges: Gauges): Promise<void> {
  const settings = await nodesInForce(look, await readSettings(look))
  for (const { node, state, running: runs, waiting } of seenBy(settings, await seen(look))) {
    gauges.nodeUp.set({ node: node.name }, state === 'up' ? 1 : 0)
    gauges.nodeRunning.set({ node: node.name }, runs)
    gauges.nodeWaiting.set({ node: node.name }, waiting)
  }
}

async function ofKeys(look: Look, gauges: Gauges): Promise<void> {
  const { keys } = await readRegistry(look)
  const ending = Object.entries(keys).flatMap(([name, { expires }]): [string, number][] =>
    expires ? [[name, Date.parse(expires) / 1000]] : [],
  )
  for (const { labels, value } of only('who', ending.slice(0, 200))) gauges.keyExpires.set(labels, value)
}

async function ofCertificates(look: Look, gauges: Gauges): Promise<void> {
  const { tls } = await readSettings(look)
  for (const { name, held, shown } of await Promise.all(Object.keys(tls).map((one) => standingOf(look, one))))
    for (const { door, facts } of shown) {
      if (!facts) continue
      const labels = { name, at: written(door) }
      gauges.certificateExpires.set({ ...labels, serial: facts.serial }, facts.until.getTime() / 1000)
      gauges.certificateLeft.set(labels, left(facts))
      gauges.certificateStale.set(labels, facts.serial === held?.serial ? 0 : 1)
    }
}
