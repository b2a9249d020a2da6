import { ending, job, labels, look, mac, run, uid } from './mac.ts'
import { step } from './step.ts'
import { missesOf, tell } from './tolerated.ts'

/** Step 5: from nothing to a gateway that answers, by the one command of the README. */
await step('install', async (row) => {
  const { holds, keep } = row
  const words = ['--yes', '--stop-other-ollama', '--model', 'qwen3:0.6b']
  const said = await run(['./bootstrap.sh', ...words])
  process.stdout.write(said.stdout)
  process.stderr.write(said.stderr)
  keep('install.txt', `${said.stdout}\n${said.stderr}`)
  const misses = said.code === 1 ? missesOf('install') : []
  await tell(row, misses)
  holds('bootstrap.sh and install.ts end as promised', said.code === 0 || misses.length > 0, ending(said))
  for (const label of Object.values(labels)) {
    const printed = await look.query(['launchctl', 'print', `gui/${uid}/${label}`])
    keep(`${label}.txt`, printed.stdout)
    holds(`${label} is loaded`, printed.code === 0, printed.stderr)
  }
  for (const label of [labels.engine, labels.gateway, labels.observer])
    holds(`${label} runs`, (await job(label))?.pid !== undefined, (await job(label))?.state)
  keep('haproxy.cfg', (await look.read(mac.config)) ?? '')
})
