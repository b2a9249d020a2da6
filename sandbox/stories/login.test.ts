import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, installedBox, job, labels, logs, runningPid, status } from './installed.ts'

let box: Box

beforeAll(async () => {
  box = await installedBox()
})
afterAll(() => box?.close())

const loaded = async () => {
  const { stdout } = await box.run(['curl', '-fs', `http://127.0.0.1:${box.enginePort}/api/ps`])
  return (JSON.parse(stdout) as { models: { name: string }[] }).models.map(({ name }) => name)
}

const warmed = () =>
  eventually(
    'the job that loads models has done its work',
    async () => {
      const seen = await job(box, 'com.ollama.warm-models')
      return seen !== undefined && seen.pid === undefined && seen.lastExit === 0
    },
    90_000,
  )

describe('after logging out and in', () => {
  it('nothing of ours runs while nobody is logged in', async () => {
    await box.logout()
    for (const label of labels) expect(await job(box, label), label).toBeUndefined()
  })

  it('both services run again, and the models are loaded', async () => {
    await box.login()
    for (const label of ['com.ollama', 'com.haproxy']) await runningPid(box, label)
    await answers(box)
    await warmed()
    expect(await loaded()).toEqual(['qwen3:0.6b'])
  })
})

describe('after a restart at which the tailnet address comes late', () => {
  it('the proxy waits for the address, says so, and then answers', async (context) => {
    if (!box.namespaced) return context.skip(`no address can come late there: ${box.why}`)
    const before = box.read(`${logs}/haproxy.job.log`).split('\n').length
    await box.reboot({ addressAfterMs: 3_000 })
    await eventually('the job says that it waits', () =>
      box
        .read(`${logs}/haproxy.job.log`)
        .split('\n')
        .slice(before - 1)
        .some((line) => line.includes(`waiting for ${box.address} (is Tailscale up?)`)),
    )
    await answers(box)
    expect((await job(box, 'com.haproxy'))?.text).toContain('runs = 1')
  })

  it('Ollama did not wait for it, and the models are loaded again', async (context) => {
    if (!box.namespaced) return context.skip(`no restart of that kind there: ${box.why}`)
    await warmed()
    expect(await loaded()).toEqual(['qwen3:0.6b'])
    await eventually('status.ts is green', async () => (await status(box)).code === 0, 60_000)
  })
})
