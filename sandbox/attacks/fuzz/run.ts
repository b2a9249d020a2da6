import { startGateway } from '../../lab/gateway.ts'
import { startRecorder } from '../../lab/recorder.ts'
import { type Campaign, campaign, seedOf } from './campaign.ts'

/** `npm run fuzz`: at least 100,000 connections, or as many as FUZZ_COUNT says. */
const count = Number(process.env.FUZZ_COUNT ?? 100_000)
const seed = seedOf(Date.now() % 2 ** 31)
const say = (text: string) => process.stdout.write(`${text}\n`)

function summary({ sent, statuses, reached, ms }: Campaign): string {
  const answers = Object.entries(statuses).map(([status, times]) => `${status === '0' ? 'none' : status}: ${times}`)
  const arrived = Object.values(reached).reduce((sum, times) => sum + times, 0)
  return [
    `${sent} connections in ${(ms / 1000).toFixed(1)} s`,
    `answers  ${answers.join(', ')}`,
    `engine   ${arrived} requests of ${Object.keys(reached).length} methods and paths, each a row of ours in our form`,
  ].join('\n')
}

say(`seed ${seed}; the same again: FUZZ_SEED=${seed} FUZZ_COUNT=${count} npm run fuzz`)
const engine = await startRecorder()
try {
  const gateway = await startGateway({ enginePort: engine.port })
  try {
    const progress = (sent: number) => sent % 25_000 === 0 && say(`${sent} …`)
    const done = await campaign({ gateway, engine, count, seed, progress })
    if (done.failure) say(`NOT AS PROMISED: ${done.failure}`)
    else say(summary(done))
    process.exitCode = done.failure ? 1 : 0
  } finally {
    await gateway.stop()
  }
} finally {
  await engine.stop()
}
