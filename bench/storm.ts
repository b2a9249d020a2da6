import { parseArgs } from 'node:util'
import { storm } from '../sandbox/attacks/storm.ts'

/** `npm run storm`: 1,000 changes of keys and 200 reloads under 200 open streams and steady new requests; `--loses 3` loses one of three commands and listening sockets on the way. */
const { values, positionals } = parseArgs({ options: { loses: { type: 'string' } }, allowPositionals: true })
const [streams = 200, keyChanges = 1000, reloads = 200] = positionals.map(Number)
const loses = values.loses ? { loses: Number(values.loses) } : {}
const left = await storm({ streams, keyChanges, reloads, ...loses })
process.stdout.write(
  `${streams} streams, ${keyChanges} changes of keys, ${reloads} reloads in ${left.seconds.toFixed(0)} s: ${left.requests} requests, ${left.failed.length} failed, ${left.cut} streams cut, ${left.wrong.length} changes not in force at the next request, at most ${left.oldWorkers} old workers\n`,
)
for (const line of [...new Set([...left.failed, ...left.wrong])].slice(0, 10)) process.stdout.write(`  ${line}\n`)
process.exitCode = left.failed.length + left.cut + left.wrong.length > 0 ? 1 : 0
