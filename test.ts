import { ready } from './lib/ready.ts'

ready()
const { runVerb } = await import('./lib/commands/verbs.ts')
await runVerb('test', process.argv.slice(2))
