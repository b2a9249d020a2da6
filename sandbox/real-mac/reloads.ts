import { readFileSync, writeFileSync } from 'node:fs'
import { oldWorkers } from '../../lib/haproxy/workers.ts'
import { ask, ending, type Gateway, gateway, look, mac, numbers, script, setSetting } from './mac.ts'
import { step } from './step.ts'

const messages = [{ role: 'user', content: 'Tell me a long story about the sea.' }]

/** Streams one after the other until it is over; each that did not come to its end is told. */
async function streams(at: Gateway, over: () => boolean): Promise<{ whole: number; cut: string[] }> {
  const seen = { whole: 0, cut: [] as string[] }
  const body = { model: at.model, stream: true, max_tokens: 400, messages }
  while (!over()) {
    const answer = await ask(at, '/v1/chat/completions', { body, timeoutMs: 600_000 })
    if (answer.end === 'complete' && answer.body.trimEnd().endsWith('data: [DONE]')) seen.whole += 1
    else seen.cut.push(`${answer.status} ${answer.end} ${answer.body.slice(-100)}`)
  }
  return seen
}

const complaints = /cannot bind|Failed to get the sockets|still in progress/

async function complained(): Promise<number> {
  const text = (await look.read(`${mac.logs}/haproxy.job.log`)) ?? ''
  return text.split('\n').filter((line) => complaints.test(line)).length
}

/** Step 9: reloads under a stream; none may fail, and no stream may be cut. */
await step('reloads', async (row) => {
  const { times } = numbers({ times: 200 })
  const at = await gateway(row)
  if (!at) return
  if (at.model === undefined) row.skip('a running stream', 'no model is installed')
  const before = { settings: readFileSync(mac.settings, 'utf8'), complaints: await complained() }
  let done = at.model === undefined
  const streaming = streams(at, () => done)
  const failed: string[] = []
  for (let turn = 0; turn < times; turn += 1) {
    setSetting(['queue', 'max'], turn % 2 === 0 ? 63 : 62)
    const said = await script('apply.ts')
    if (said.code !== 0) failed.push(`reload ${turn + 1} ${ending(said)}`)
  }
  done = true
  const { whole, cut } = await streaming
  writeFileSync(mac.settings, before.settings, { mode: 0o600 })
  const back = await script('apply.ts')
  row.holds(`${times} reloads take`, failed.length === 0, `${failed.length} did not: ${failed.slice(0, 3).join('; ')}`)
  row.holds('no stream is cut by them', cut.length === 0, cut.slice(0, 3).join('; '))
  row.holds('the settings from before are in force again', back.code === 0, ending(back))
  row.note(
    `${whole} streams came to their end; ${(await complained()) - before.complaints} complaints about sockets in haproxy.job.log`,
  )
  row.note(`${await oldWorkers(look)} old workers still run`)
})
