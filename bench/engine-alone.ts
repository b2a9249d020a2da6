import { streamingEngine } from './streams.ts'

/** An engine in a process of its own, which can be killed: an event a second in each stream, and their end at a line on its standard input. */
const engine = await streamingEngine(1000)
process.stdin.setEncoding('utf8').on('data', () => engine.finish())
process.stdin.on('end', () => process.exit())
process.stdout.write(`${engine.port}\n`)
