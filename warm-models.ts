import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { warm } = await import('./lib/commands/warm.ts')

await runScript(
  {
    usage: `Usage: npx tsx warm-models.ts [MODEL...] [options]
Downloads what is missing and loads the models into memory; without names those of settings.yaml.

  --keep-alive TIME    how long they stay after their last use, e.g. 30m
  --no-pull            load only what is there
  --json               one JSON document on stdout`,
    options: { 'keep-alive': { type: 'string' }, 'no-pull': { type: 'boolean' }, json: { type: 'boolean' } },
    positionals: true,
    log: 'warm-models',
    run: warm,
  },
  process.argv.slice(2),
)
