import { z } from 'zod'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import type { Duty } from './duty.ts'

const schema = z.object({
  pid: z.number(),
  /** ms since 1970 */
  at: z.number(),
  /** what does not work at the moment, a sentence each */
  faults: z.array(z.string()),
  lost: z
    .object({
      /** lines that were no request */
      unreadable: z.number(),
      /** times that lines were gone before they were read */
      gaps: z.number(),
    })
    .default({ unreadable: 0, gaps: 0 }),
})

/** What is not counted of the requests, since the observer began. */
export type Lost = Sign['lost']

/** What the observer says of itself, every few seconds. */
export type Sign = z.infer<typeof schema>

/** ms after which an observer that has said nothing counts as stuck. */
export const staleAfter = 20_000

/** How far from now a sign was given, ms: one from ahead, by a clock that was set back since, is no better than an old one. */
export const ageOf = ({ at }: Sign, now = Date.now()): number => Math.abs(now - at)

/** The observer's last sign; undefined when there is none that can be read. */
export async function readSign(look: Look): Promise<Sign | undefined> {
  try {
    return schema.parse(JSON.parse((await look.read(places(look).observer)) ?? ''))
  } catch {
    return undefined
  }
}

/** Shows that the observer lives, and what it cannot do. */
export const signs = (faults: () => string[], lost: () => Lost): Duty => ({
  name: 'sign of life',
  everyMs: 5000,
  run: (host: Host) =>
    host.write(
      places(host).observer,
      `${JSON.stringify({ pid: process.pid, at: Date.now(), faults: faults(), lost: lost() } satisfies Sign)}\n`,
      0o600,
      { flush: false },
    ),
})
