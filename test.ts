import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { test } = await import('./lib/commands/test.ts')

await runScript(
  {
    usage: `Usage: npx tsx test.ts [options]
Proves on this machine what the README promises.

  --model NAME         ask this model; else one that is loaded, one of the settings, or the smallest
  --skip-inference     ask no model
  --only ID            only this check or this group of checks (may be given several times)
  --hostile            instead of all these: hostile requests to the gateway, which refuses them; nothing changes
  --disturbing         also those that use up a limit, evict a model or cut a stream
  --tap | --json       for programs
  --junit FILE         JUnit's XML in a file
  --list               name the checks, run none`,
    options: {
      model: { type: 'string' },
      'skip-inference': { type: 'boolean' },
      only: { type: 'string', multiple: true },
      hostile: { type: 'boolean' },
      disturbing: { type: 'boolean' },
      tap: { type: 'boolean' },
      junit: { type: 'string' },
      json: { type: 'boolean' },
      list: { type: 'boolean' },
    },
    log: 'test',
    run: test,
  },
  process.argv.slice(2),
)
