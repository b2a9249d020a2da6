import { ready } from './lib/ready.ts'

ready()
if (process.env.ROP_FROM) process.chdir(process.env.ROP_FROM)
const { rop } = await import('./lib/commands/rop.ts')
await rop(process.argv.slice(2))
