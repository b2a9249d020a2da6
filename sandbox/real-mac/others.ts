import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { ending, type Gateway, gateway, look, run, script } from './mac.ts'
import { type Step, step } from './step.ts'
import { installs } from './tolerated.ts'

/** Homebrew's own service wants the same port. */
async function service(row: Step): Promise<void> {
  const { holds, skip } = row
  const brew = await look.find(['brew', '/opt/homebrew/bin/brew'])
  if (!brew) return skip('brew services start ollama', 'Homebrew is not here')
  const started = await run([brew, 'services', 'start', 'ollama'])
  holds('brew services start ollama', started.code === 0, ending(started))
  await installs(row, 'install.ts --stop-other-ollama mends it', ['--yes', '--stop-other-ollama'])
  const list = await run([brew, 'services', 'list'])
  holds('the service is stopped', !/^ollama\s+(started|error|scheduled)/m.test(list.stdout), list.stdout)
  const status = await script('status.ts')
  holds('status.ts ends with 0 then', status.code === 0, ending(status))
}

const isolation = () => script('test.ts', '--skip-inference', '--only', 'isolation')

/** An Ollama that listens everywhere, beside ours: macOS lets a wildcard and one address share a port. */
async function everywhere({ holds, skip }: Step, at: Gateway): Promise<void> {
  const program = await look.find(['ollama', '/opt/homebrew/bin/ollama'])
  if (!program) return skip('an Ollama that listens everywhere', 'no ollama is in PATH')
  const env = { ...process.env, OLLAMA_HOST: `0.0.0.0:${at.settings.engine.port}` }
  const other = spawn(program, ['serve'], { env, stdio: 'ignore' })
  try {
    await Promise.race([once(other, 'exit'), pause(5000)])
    if (other.exitCode !== null)
      return skip('an Ollama that listens everywhere', 'this kernel gives no wildcard a port that one address has')
    const seen = await isolation()
    holds('test.ts misses isolation while another Ollama listens everywhere', seen.code === 1, ending(seen))
  } finally {
    if (other.exitCode === null && other.kill()) await once(other, 'exit')
  }
  const after = await isolation()
  holds('and does not when that is gone', after.code === 0, ending(after))
}

/** Step 12: other Ollamas on the same Mac. */
await step('others', async (row) => {
  const at = await gateway(row)
  if (!at) return
  await service(row)
  await everywhere(row, at)
})
