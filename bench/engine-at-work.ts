import { setTimeout as pause } from 'node:timers/promises'
import { startEngine } from '../sandbox/lab/engine.ts'
import { type Answer, json } from '../sandbox/lab/recorder.ts'

/** An engine in a process of its own, with these models: it works on each request as long as that asks (`user`, ms). */
const works: Answer = async (wire, request) => {
  engine.asked.length = 0
  engine.recorder.received.length = 0
  await pause(Number((JSON.parse(`${request.body}`) as { user: string }).user))
  await json()(wire, request)
}
const engine = await startEngine('at work', 'vllm', process.argv.slice(2))
engine.answers = works
process.stdin.on('end', () => process.exit()).resume()
process.stdout.write(`${engine.port}\n`)
