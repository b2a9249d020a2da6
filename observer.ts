import { ready } from './lib/ready.ts'

ready()
const { observe } = await import('./lib/observer/observe.ts')

await observe()
