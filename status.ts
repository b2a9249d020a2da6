import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { status } = await import('./lib/commands/test.ts')

await runScript(
  {
    usage: `Usage: npx tsx status.ts [--watch | --report [--since 7d] [--csv]] [--json]
Looks at every part and says what is missed, with its remedy. Changes nothing, asks no model.

  --watch              who generates with which model, what waits, what was refused and why; every second until Ctrl-C
  --report             who used how much, by model
  --since TIME         from when on: 7d, 4w or 2026-11-01 (7d)
  --csv                the report as CSV
  --json               one JSON document on stdout (with --watch one a line)`,
    options: {
      watch: { type: 'boolean' },
      report: { type: 'boolean' },
      since: { type: 'string' },
      csv: { type: 'boolean' },
      json: { type: 'boolean' },
    },
    run: status,
  },
  process.argv.slice(2),
)
