import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { apply } = await import('./lib/commands/apply.ts')

await runScript(
  {
    usage: `Usage: npx tsx apply.ts [options]
Brings changed settings into effect: shows the difference, and does the least that it takes (a map edit, a reload, a restart of a job).

  --dry-run    show the difference and what it needs; change nothing
  --json       one JSON document on stdout`,
    options: { 'dry-run': { type: 'boolean' }, json: { type: 'boolean' } },
    log: 'apply',
    run: apply,
  },
  process.argv.slice(2),
)
