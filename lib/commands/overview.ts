import { type Standing, standingOf } from '../certificates/checks.ts'
import { masterUptime } from '../haproxy/workers.ts'
import type { Look } from '../host/host.ts'
import { type Pair, pairOf } from '../parts/vip-holder.ts'
import { platformOf } from '../platform/here.ts'
import { engineAddress } from '../site/engine.ts'
import type { Machine } from '../site/machine.ts'
import { running, tags } from '../site/models.ts'
import type { Setup } from '../site/setup.ts'
import { type Live, live } from './watch.ts'

/** How the server does now; what cannot be known is absent. */
export interface Overview {
  /** seconds since the gateway came up */
  up?: number
  /** what people generate and wait for */
  live?: Live
  /** models in memory, with bytes there */
  loaded?: { name: string; size: number }[]
  /** how many models are on disk */
  installed?: number
  /** what is served for each name */
  certificates?: Standing[]
  /** who has the address of a pair of gateways */
  pair?: Pair
}

/** Asks the gateway and the engine; never waits for either. */
export async function overview(look: Look, machine: Machine, setup: Setup): Promise<Overview> {
  const at = [engineAddress(machine, setup), setup.settings.engine.port] as const
  const [up, now, loaded, installed, certificates, pair] = await Promise.all([
    masterUptime(look),
    live(look).catch(() => undefined),
    running(look, ...at),
    tags(look, ...at),
    Promise.all(Object.keys(setup.settings.tls).map((name) => standingOf(look, name))),
    pairSeen(look, machine, setup),
  ])
  return { up, live: now, loaded, installed: installed?.length, certificates, pair }
}

async function pairSeen(look: Look, machine: Machine, { settings: { vip } }: Setup): Promise<Pair | undefined> {
  const router = platformOf(look).virtualRouter
  return vip && router && pairOf(look, router, machine, vip)
}
