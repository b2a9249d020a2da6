import { ready } from './lib/ready.ts'

ready()
const { told, unheard } = await import('./lib/commands/arguments.ts')

const usage = `Usage: npx tsx observer.ts
Keeps the log, counts who uses what and serves the metrics, until it is told to end. The job com.haproxy.observer runs it.`

unheard()
if (await told({ usage, options: {} }, process.argv.slice(2)).catch(failed)) {
  const { observe } = await import('./lib/observer/observe.ts')
  await observe()
}

function failed(error: Error & { code?: number }): undefined {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.code ?? 1
}
