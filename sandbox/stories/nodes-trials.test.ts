import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { trials } from '../../lib/checks/trials.ts'
import { runningMap, statOf } from '../../lib/haproxy/runtime.ts'
import { renewNodes } from '../../lib/nodes/store.ts'
import { openGroups } from '../../lib/site/settings.ts'
import { observeAll, type Result } from '../../lib/steps/step.ts'
import { checkout } from '../box/paths.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, type RunningGateway, startGateway } from '../lab/gateway.ts'

let mac: Engine
let gpu: Engine
let gateway: RunningGateway

beforeEach(async () => {
  mac = await startEngine('mac', 'ollama', ['both', 'mac-only'])
  gpu = await startEngine('gpu', 'ollama', ['both'])
})
afterEach(async () => {
  await gateway?.stop()
  for (const one of [mac, gpu]) await one?.recorder.stop()
})

const start = async (alter?: (text: string) => string) => {
  gateway = await startGateway({
    enginePort: mac.port,
    ...(alter ? { alter } : {}),
    settings: `role: gateway
nodes:
  mac: { address: 127.0.0.1, port: ${mac.port} }
  gpu: { address: 127.0.0.1, port: ${gpu.port} }
`,
  })
  await eventually('both are checked', async () =>
    (await Promise.all(['mac', 'gpu'].map((name) => statOf(gateway.machine, name)))).every(
      (row) => row?.check_status === 'L7OK',
    ),
  )
  await renewNodes(gateway.machine, gateway.gateway.settings)
}
/** What test.ts --disturbing would report of the nodes themselves. */
const tried = async (): Promise<Pick<Result, 'id' | 'state' | 'saw'>[]> => {
  const { machine, address, port, host } = gateway
  const groups = openGroups(gateway.gateway.settings)
  const target = { address, port, host, engine: { address, port }, groups }
  const all = trials(target, gateway.gateway).filter(({ id }) => id !== 'nodes.observer')
  const results = await observeAll(
    all.map((trial) => ({ ...trial, check: () => trial.attempt(machine) })),
    machine,
  )
  return results.map(({ id, state, saw }) => ({ id, state, saw }))
}

test('drain and death of each node are proven without asking a model, and all is as before', async () => {
  await start()
  expect(await tried()).toEqual([
    { id: 'nodes.drain', state: 'ok', saw: 'mac, gpu' },
    { id: 'nodes.death', state: 'ok', saw: 'mac, gpu' },
  ])
  expect(await runningMap(gateway.machine, 'keys/nodes-drain.map')).toEqual(new Map())
  expect([...mac.asked, ...gpu.asked]).toEqual([])
})

test.each([
  ['nodes.drain', 'mac by its own name: 200', /!\{ str\(mac\),map_str\((?:\\ |\S)+nodes-drain\.map\) -m str drain \}/g],
  ['nodes.death', 'both: 503 by nobody', /\{ srv_is_up\(inference\/mac\) \}/g],
])('it says so when %s is not as promised: %s', async (id, saw, rule) => {
  await start((text) => {
    const altered = text.replaceAll(rule, '')
    if (altered === text) throw new Error(`no rule matches ${rule}`)
    return altered
  })
  const found = (await tried()).find((one) => one.id === id)
  expect(found).toMatchObject({ state: 'missed', saw: expect.stringContaining(saw) })
})

test('whoever interrupts a proof is waited with until it has put back what it changed', async () => {
  const script = `
    import { setTimeout as pause } from 'node:timers/promises'
    import { runScript, unbroken } from './lib/commands/cli.ts'
    const work = async () => {
      console.log('changed')
      await pause(500)
      console.log('put back')
    }
    const run = async () => {
      await unbroken(work)
      await unbroken(async () => void (await pause(100), console.log('began anew')))
      return 0
    }
    await runScript({ usage: '', options: {}, run }, [])
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cwd: checkout })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await eventually('it works', () => said.includes('changed'))
  child.kill('SIGINT')
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  expect([code, said]).toEqual([130, 'changed\nput back\n'])
})
