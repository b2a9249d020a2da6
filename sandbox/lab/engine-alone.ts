import { appendFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { engineNames } from '../../lib/site/engines.ts'
import { startEngine } from './engine.ts'
import { type Answer, json } from './recorder.ts'

/** An engine alone in its process: `NAME KIND PORT JOURNAL MODEL…`. It writes down what it begins and ends, and works as long as the request asks (`user`, ms). */
const [name = '', kind = '', port = '0', journal = '', ...models] = process.argv.slice(2)

const note = (what: string) => appendFileSync(journal, `${what}\n`)

const work: Answer = async (wire, request) => {
  const { id, user = '0' } = JSON.parse(request.body.toString()) as { id: number; user?: string }
  note(`begin ${id}`)
  await pause(Number(user))
  note(`end ${id}`)
  return json(`{"from":"${name}"}`)(wire, request)
}

const found = engineNames.find((one) => one === kind)
if (!found) throw new Error(`no engine is ${kind}`)
// Few connections may wait, so that those to a process that sleeps are soon not taken.
const engine = await startEngine(name, found, models, models, { port: Number(port), backlog: 1 })
engine.answers = work
process.stdin.on('end', () => process.exit(0)).resume()
process.stdout.write(`${engine.port}\n`)
