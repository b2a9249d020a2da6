import type { Host } from '../host/host.ts'

/** Something that the observer does again and again, each on a beat of its own (ms). */
export interface Duty {
  name: string
  everyMs: number
  run(host: Host): Promise<void>
}

export interface Kept {
  /** no duty begins again; waits for those under way */
  stop(): Promise<void>
  /** what does not work at the moment: it failed twice in a row, since what is over within a second is nobody's to mend */
  faults(): string[]
}

/** ms after which a duty that has failed is tried again at the latest */
const soon = 1000

/**
 * Runs each duty at once and then on its beat, never twice at the same time. What one throws is said once for each
 * change of its text and stops nobody; the first time, it is tried again within a second.
 */
export function keep(host: Host, duties: Duty[], say: (line: string) => void): Kept {
  const beats = duties.map((duty) => beat(host, duty, say))
  return {
    async stop() {
      await Promise.all(beats.map(({ stop }) => stop()))
    },
    faults: () => beats.flatMap(({ faults }) => faults()),
  }
}

function beat(host: Host, duty: Duty, say: (line: string) => void): Kept {
  let fault = ''
  let failures = 0
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const once = async () => {
    const seen = await duty.run(host).then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : `${error}`),
    )
    if (seen !== fault) say(seen ? `${duty.name}: ${seen}` : `${duty.name}: works again`)
    fault = seen
    failures = seen ? failures + 1 : 0
  }
  const round = async () => {
    const started = performance.now()
    await once()
    const everyMs = failures === 1 ? Math.min(soon, duty.everyMs) : duty.everyMs
    if (!stopped) timer = setTimeout(next, Math.max(0, started + everyMs - performance.now()))
  }
  let under = Promise.resolve()
  const next = () => {
    under = round()
  }
  next()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await under
    },
    faults: () => (failures > 1 ? [`${duty.name}: ${fault}`] : []),
  }
}
