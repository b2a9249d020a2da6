import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/cli.ts')
const { status } = await import('./lib/verify.ts')

await runScript(
  {
    usage: `Usage: npx tsx status.ts [--json]
Looks at every part and says what is missed, with its remedy. Changes nothing, asks no model.`,
    options: { json: { type: 'boolean' } },
    run: status,
  },
  process.argv.slice(2),
)
