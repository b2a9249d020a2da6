import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { connectedTo } from './peers.ts'

/** What HAProxy 2.6 and 3.4 said. */
const line = (state: string) => `0x7f6342d78000: [30/Nov/2026:14:27:33] id=state disabled=0 flags=0x6833 task_calls=11
  0x7f6344268e40: id=gateway-10.50.0.3(remote,${state} last_hdshk=6s
  0x7f6344268600: id=gateway-10.50.0.2(local,inactive) addr=10.50.0.2:11438 last_status=NONE last_hdshk=<NEVER>`
const look = (said?: string) => ({ ...memoryHost(), ask: async () => said })

test.each([
  ['active) addr=10.50.0.3:11438 last_status=ESTA', true],
  ['active) addr=10.50.0.3:11438 app_state=RUNNING learn_state=NOTASSIGNED last_status=ESTA', true],
  ['inactive) addr=10.50.0.3:11438 app_state=STOPPED learn_state=NOTASSIGNED last_status=ESTA', false],
  ['active) addr=10.50.0.3:11438 last_status=CONN', false],
  ['active) addr=10.50.0.3:11438 app_state=STOPPED learn_state=NOTASSIGNED last_status=HSHK', false],
])('a peer that is %s is connected: %s', async (state, connected) => {
  expect(await connectedTo(look(line(state)), 'gateway-10.50.0.3')).toBe(connected)
})

test('a worker that has no such peer, or does not answer, is told apart from that', async () => {
  expect(await connectedTo(look(line('active) last_status=ESTA')), 'gateway-10.50.0.30')).toBeUndefined()
  expect(await connectedTo(look(), 'gateway-10.50.0.3')).toBeUndefined()
})
