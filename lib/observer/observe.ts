import { type Host, realHost } from '../host.ts'
import { identities } from './duties/identities.ts'
import { keep } from './duty.ts'
import { requests } from './requests.ts'
import { readSign, signs } from './state.ts'

const say = (line: string): void => void process.stderr.write(`${new Date().toISOString()} ${line}\n`)

/** observer.ts: does its duties until it is told to end, then finishes what has come. */
export async function observe(host: Host = realHost()): Promise<void> {
  const reading = requests(host.home, (await readSign(host))?.read, [])
  const sign = signs(() => ({ read: reading.position(), faults: [] }))
  const stop = keep(host, [reading, sign, identities], say)
  say('observing')
  await new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
  await stop()
}
