import { job, labels, look, mac, uid } from './mac.ts'
import { step } from './step.ts'
import { installs } from './tolerated.ts'

/** Step 5: from nothing to a gateway that answers, by the one command of the README. */
await step('install', async (row) => {
  const { holds, keep } = row
  const words = ['--yes', '--stop-other-ollama', '--model', 'qwen3:0.6b']
  const said = await installs(row, 'bootstrap.sh and install.ts end as promised', words, './bootstrap.sh')
  process.stdout.write(said.stdout)
  process.stderr.write(said.stderr)
  keep('install.txt', `${said.stdout}\n${said.stderr}`)
  for (const label of Object.values(labels)) {
    const printed = await look.query(['launchctl', 'print', `gui/${uid}/${label}`])
    keep(`${label}.txt`, printed.stdout)
    holds(`${label} is loaded`, printed.code === 0, printed.stderr)
  }
  for (const label of [labels.engine, labels.gateway, labels.observer])
    holds(`${label} runs`, (await job(label))?.pid !== undefined, (await job(label))?.state)
  keep('haproxy.cfg', (await look.read(mac.config)) ?? '')
})
