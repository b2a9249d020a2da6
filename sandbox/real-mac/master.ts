import { workers } from '../../lib/haproxy/workers.ts'
import { gateway, look, mac, numbers } from './mac.ts'
import { step } from './step.ts'

/** How many of so many questions get an empty answer, or none. */
async function lost(times: number, socket: string, command: string): Promise<number> {
  let count = 0
  for (let at = 0; at < times; at += 1) if (((await look.ask(socket, command)) ?? '').trim() === '') count += 1
  return count
}

/** Step 8: how often a command to a worker gets lost on its way through HAProxy's master (haproxy/haproxy#3045), and none on the worker's own socket. */
await step('master', async (row) => {
  const { times } = numbers({ times: 2000 })
  if (!(await gateway(row))) return
  const [worker] = workers((await look.ask(mac.masterSocket, 'show proc')) ?? '')
  if (!row.holds('the master names its worker', worker !== undefined)) return
  const through = await lost(times, mac.masterSocket, `@!${worker} show map`)
  row.note(`${through} of ${times} commands through the master came back empty`)
  const own = await lost(times, mac.adminSocket, 'show map')
  row.holds(`the worker's own socket answers ${times} times`, own === 0, `${own} answers were empty`)
})
