import { ready } from './lib/ready.ts'

ready()
const { runVerb } = await import('./lib/commands/verbs.ts')
await runVerb('uninstall', process.argv.slice(2))
