import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { install } = await import('./lib/commands/install.ts')

await runScript(
  {
    usage: `Usage: npx tsx install.ts [options]
Makes this Mac a private AI server: Tailscale decides who, HAProxy what, Ollama answers. Asks first, shows the plan, then acts.

  --dry-run               show what would change, with diffs; change nothing
  --yes                   take every default; needed where nobody sits at the terminal
  --json                  one JSON document on stdout, never a question (with --yes or --dry-run)
  --no-proxy              without HAProxy: Ollama stays on this Mac only
  --expose-unprotected    with --no-proxy: open every Ollama endpoint to the whole tailnet
  --stop-other-ollama     another Ollama that is in the way may be stopped
  --config FILE           settings from this file
  --model NAME            a model to load at login, beside those of the settings (may be given several times)
  --quiet | --verbose     only misses | everything`,
    options: {
      'dry-run': { type: 'boolean' },
      yes: { type: 'boolean' },
      json: { type: 'boolean' },
      'no-proxy': { type: 'boolean' },
      'expose-unprotected': { type: 'boolean' },
      'stop-other-ollama': { type: 'boolean' },
      config: { type: 'string' },
      model: { type: 'string', multiple: true },
      quiet: { type: 'boolean' },
      verbose: { type: 'boolean' },
    },
    log: 'install',
    run: install,
  },
  process.argv.slice(2),
)
