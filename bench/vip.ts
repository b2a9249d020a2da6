import { startPair, whyNoPair } from '../sandbox/lab/pair.ts'
import { both, events, gap, master } from '../sandbox/lab/pair-events.ts'
import { goal, head, row, say } from './report.ts'

/** How long nobody answers at the address of a pair of gateways, by what happens to the one that has it. */
export async function vip(rounds: number): Promise<void> {
  const why = whyNoPair()
  if (why) return say(`not measured: ${why}`)
  const pair = await startPair()
  try {
    await Promise.all([pair.a.startHaproxy(), pair.b.startHaproxy()])
    await Promise.all([pair.a.startKeepalived(), pair.b.startKeepalived()])
    say(
      '\n### An address of two gateways: from the last answer of one to the first of the other, a question every 20 ms\n',
    )
    head('what happens', ...Array.from({ length: rounds }, (_, at) => `${at + 1}`), 'a stream ends after')
    for (const [name, { happens, ends }] of Object.entries(events)) {
      const [gaps, streams] = [[] as number[], [] as number[]]
      for (let at = 0; at < rounds; at += 1) {
        const side = await master(pair)
        const stream = await pair.stream()
        const began = performance.now()
        const ended = stream.ended.then(() => performance.now() - began)
        gaps.push(await gap(pair, side, () => happens(pair, side)))
        await ends(pair, side)
        streams.push(await ended)
      }
      const most = Math.max(...gaps)
      row(name, ...gaps.map((ms) => `${ms} ms`), streams.map((ms) => `${(ms / 1000).toFixed(1)} s`).join(', '))
      const wanted = name.startsWith('planned') ? 1000 : 2500
      goal(`${name}: nobody answers for`, `${most} ms at most`, most < wanted, `under ${wanted} ms`)
    }
    goal('both have the address for', `${both(pair)} ms at most`, both(pair) <= 300, 'no longer than an advert, 300 ms')
  } finally {
    await pair.close()
  }
}
