import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { uninstall } = await import('./lib/commands/uninstall.ts')

await runScript(
  {
    usage: `Usage: npx tsx uninstall.ts [options]
Removes what install.ts made, last first, and checks that it is gone. Homebrew, Tailscale, both programs and all models stay.

  --dry-run    show what would be removed
  --yes        without asking
  --purge      the settings and the API keys, too
  --json       one JSON document on stdout, never a question`,
    options: {
      'dry-run': { type: 'boolean' },
      yes: { type: 'boolean' },
      purge: { type: 'boolean' },
      json: { type: 'boolean' },
    },
    run: uninstall,
  },
  process.argv.slice(2),
)
