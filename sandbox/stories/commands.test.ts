import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, install, job, readyBox, runningPid } from './installed.ts'

let box: Box
let said: string

beforeAll(async () => {
  box = await readyBox()
  const { code, stdout } = await install(box, '--verbose')
  expect(code, stdout).toBe(0)
  said = stdout.slice(stdout.indexOf('Next steps'))
})
afterAll(() => box?.close())

/** The commands that install.ts printed for a job, by their verb. */
function printed(label: string): Record<string, string> {
  const lines = said.split('\n')
  const at = lines.findIndex((line) => line.trim() === `${label}:`)
  const block = lines.slice(at + 1, at + 6).map((line) => /^\s+(\w+)\s+(\S.*)$/.exec(line))
  return Object.fromEntries(block.map((found) => [found?.[1] ?? '', found?.[2] ?? '']))
}

const sh = (command: string) => box.run(['/bin/sh', '-c', command])
const gone = (label: string) => eventually(`${label} is gone`, async () => (await job(box, label)) === undefined)

describe.each(['com.ollama', 'com.haproxy'])('the commands printed for %s', (label) => {
  it('are five', () => {
    expect(Object.keys(printed(label))).toEqual(['status', 'start', 'stop', 'restart', 'logs'])
  })

  it('tell its state', async () => {
    const { code, stdout } = await sh(printed(label).status ?? '')
    expect(code).toBe(0)
    expect(stdout).toContain('state = running')
    expect(stdout).toContain(`pid = ${await runningPid(box, label)}`)
  })

  it('restart it', async () => {
    const before = await runningPid(box, label)
    expect(await sh(printed(label).restart ?? '')).toMatchObject({ code: 0 })
    await eventually('another process', async () => {
      const pid = (await job(box, label))?.pid
      return pid !== undefined && pid !== before
    })
    await answers(box)
  })

  it('stop it for good, and start it again', async () => {
    expect(await sh(printed(label).stop ?? '')).toMatchObject({ code: 0 })
    await gone(label)
    expect(await sh(printed(label).start ?? '')).toMatchObject({ code: 0 })
    await runningPid(box, label)
    await answers(box)
  })

  it('show its log', async () => {
    const { logs = '' } = printed(label)
    expect(logs).toMatch(/^tail -f /)
    const { code, stderr } = await sh(logs.replace('tail -f', 'tail -n 3'))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('are not the usual `launchctl stop gui/…`, which stops nothing', async () => {
    const before = await runningPid(box, label)
    expect((await sh(`launchctl stop gui/501/${label}`)).code).not.toBe(0)
    expect(await runningPid(box, label)).toBe(before)
    expect(said).not.toContain('launchctl stop gui/')
  })
})

describe('the other commands printed', () => {
  it('the curl gives the answer that stands below it', async (context) => {
    if (!box.namespaced) return context.skip(`nobody knows the MagicDNS name there: ${box.why}`)
    const [command = '', answer = ''] = said.slice(said.indexOf('curl http')).split('\n')
    expect(answer.trim()).toBe('{"version":"…"}')
    const { code, stdout } = await box.run(['/bin/sh', '-c', command.replace('curl', 'curl -fsS')], { on: 'laptop' })
    expect(code).toBe(0)
    expect(stdout.trim()).toMatch(/^\{"version":"\d+\.\d+\.\d+"\}$/)
  })

  it('every client is given the real address and an installed model, and a grant this very machine', async () => {
    for (const client of ['Claude Code', 'Codex', 'opencode', 'Continue', 'Aider', 'Qwen Code', 'openai', 'anthropic'])
      expect(said).toContain(client)
    expect(said).toContain(`ANTHROPIC_BASE_URL=http://studio.tail0lab.ts.net:${box.port}`)
    expect(said).toContain('aider --model openai/qwen3:0.6b')
    expect(said).not.toMatch(/\bMODEL\b|100\.x|undefined/)
    const [, grants = ''] = /^ *("grants": .*)$/m.exec(said) ?? []
    const dst = (JSON.parse(`{${grants}}`) as { grants: { dst: string[] }[] }).grants.flatMap((one) => one.dst)
    expect(dst[0]).toBe(box.address)
    expect(dst.join(' ')).toMatch(/^[0-9a-f.: ]+$/)
  })
})
