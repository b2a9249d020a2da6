import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { sleepingCard } from '../box/card.ts'
import { checkout } from '../box/paths.ts'
import { asDevice, asleep, joinTailnet, mayJoin } from '../box/tailnet.ts'
import { eventually } from './await.ts'
import { putSettings, readyBox } from './installed.ts'
import { cannot, expectGreen, modest, patience, told } from './witness.ts'

const why = cannot ?? (mayJoin() ? undefined : 'joining two boxes needs root, or unshare --user --map-root-user')
const card = '02:00:5e:10:00:02'
const keyFile = '.config/remote-ollama-proxy/nodes/mini.key'

describe.skipIf(why !== undefined)(`a second Mac becomes a node${why ? ` (skipped: ${why})` : ''}`, () => {
  let gate: Box
  let mini: Box
  let lines: { there: string; here: string }
  const typed = (box: Box, line: string) => box.run(['/bin/sh', '-c', line], { cwd: checkout, timeoutMs: patience })
  const state = async () =>
    (JSON.parse((await typed(gate, 'rop nodes --json')).stdout) as { state: string }[]).map((one) => one.state)
  const ask = () =>
    gate.http('laptop', {
      ...{ method: 'POST', path: '/v1/chat/completions' },
      headers: { host: `${gate.address}:${gate.port}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'qwen3:0.6b', messages: [{ role: 'user', content: 'Hello?' }], max_tokens: 8 }),
    })

  beforeAll(async () => {
    gate = await readyBox({ mac: asDevice({ hostName: 'gate', ipv4: '100.64.0.1' }) })
    mini = await readyBox({ mac: asDevice({ hostName: 'mini', ipv4: '100.64.0.2' }) })
    await joinTailnet(mini, [gate])
    putSettings(gate, 'role: gateway\n')
    putSettings(mini, modest)
  })
  afterAll(async () => {
    await gate?.close()
    await mini?.close()
  })

  it('begins with a gateway that has no node, which is told to get one, and not that an engine is down', async () => {
    const { code, stdout } = await typed(gate, './bootstrap.sh --yes')
    expect(code, stdout).toBe(5)
    expect(stdout).toContain('This gateway has no node yet')
    expect((await typed(gate, 'rop status')).stdout).not.toContain('Ollama is down')
  })

  it('is given a line with the hash of a key that stays on the gateway', async () => {
    const { stdout } = await typed(gate, 'rop nodes join mini')
    const [there = '', here = ''] = stdout.split('\n').filter((line) => line.startsWith('    '))
    lines = { there: there.trim(), here: here.trim().replace('ADDRESS', mini.address) }
    expect(stdout).toContain('put access: keys into settings.yaml there')
    expect(stdout).not.toContain(gate.read(keyFile).trim())
    expect(statSync(gate.outside(keyFile)).mode & 0o777).toBe(0o600)
  })

  it('is set up by that line, typed there as it stands', async () => {
    const outcome = await typed(mini, lines.there)
    expectGreen(outcome.code, told(outcome))
    expect((await typed(mini, 'rop keys')).stdout).toMatch(/^the-gateway .*for nodes$/m)
  })

  it('is added by the gateway’s own line, answers, and leaves everything proven', async () => {
    const outcome = await typed(gate, `${lines.here} --mac ${card}`)
    expectGreen(outcome.code, told(outcome))
    expect(outcome.stdout).toContain('mini is a gateway like this one with qwen3:0.6b.')
    expect(await ask()).toMatchObject({ status: 200, headers: { 'x-served-by': 'mini' } })
    for (const box of [gate, mini]) {
      const proven = await typed(box, 'rop test')
      expectGreen(proven.code, told(proven))
    }
  })

  it('is known there by its key: with keys asked of everybody the gateway is still let in, and others are not', async () => {
    putSettings(mini, `${modest}access: keys\n`)
    const outcome = await typed(mini, 'rop apply')
    expectGreen(outcome.code, told(outcome))
    expect((await mini.http('laptop', { path: '/v1/models', headers: { host: 'mini' } })).status).toBe(401)
    await eventually('the gateway answers', async () => (await ask()).status === 200)
  })

  it('falls asleep: 503 with a time to come again; a magic packet calls it, and it answers again', async () => {
    await asleep(mini, true)
    expect(await ask()).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    await eventually('it is seen to be down', async () => (await state())[0] === 'down', 60_000)
    const listening = await sleepingCard(gate)
    expect((await typed(gate, 'rop nodes wake mini')).code).toBe(0)
    await listening.expect(`called: ${card}`)
    listening.kill()
    await asleep(mini, false)
    await eventually('it is up', async () => (await state())[0] === 'up', 60_000)
    expect((await ask()).status).toBe(200)
  })
})
