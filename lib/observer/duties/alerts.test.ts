import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { lineOf } from '../../commands/alerting.ts'
import type { Host } from '../../host/host.ts'
import { places } from '../../platform/here.ts'
import { parseSettings } from '../../site/settings.ts'
import type { Duty } from '../duty.ts'
import { heldAlerts, openAlerts } from '../open-alerts.ts'
import { triedOn, tryNotification } from '../tried.ts'
import { alerts } from './alerts.ts'

const wanted = (yaml: string) => () => parseSettings(yaml, 'settings.yaml')

/** A machine whose memory pressure can be changed, with what was told. */
function machine() {
  const posted: { url: string; body: unknown }[] = []
  const level = { now: '1' }
  const host = memoryHost({
    commands: { sysctl: () => ({ stdout: level.now }), osascript: {} },
  })
  host.post = async (url, body) => {
    posted.push({ url, body })
    return 200
  }
  host.ask = async (_socket, command) =>
    command === 'show info'
      ? 'Version: 2.6.12\nPid: 7\n'
      : command === 'show stat'
        ? '# pxname,svname,status\ninference,engine,0,UP,1'
        : ''
  return { host, posted, level }
}

/** An alarm is told when it is seen for the second time. */
async function twice(duty: Duty, host: Host): Promise<void> {
  await duty.run(host)
  await duty.run(host)
}

describe('the observer tells of what is wrong', () => {
  const yaml = 'alerts: { notification: true, webhook: "https://example.net/hook" }'

  it('once when it begins and once when it is over, and again when it comes back', async () => {
    const { host, posted, level } = machine()
    const both = alerts(wanted(yaml))
    await twice(both, host)
    expect(posted).toEqual([])
    level.now = '4'
    await twice(both, host)
    await both.run(host)
    expect(posted).toEqual([
      {
        url: 'https://example.net/hook',
        body: { event: 'anomaly.memory', state: 'open', text: expect.stringContaining('memory pressure is critical') },
      },
    ])
    expect(host.ran.filter((words) => words.startsWith('osascript'))).toHaveLength(1)
    level.now = '1'
    await twice(both, host)
    expect(posted.slice(1)).toEqual([
      {
        url: 'https://example.net/hook',
        body: { event: 'anomaly.memory', state: 'over', text: 'All right again: The system has memory to give.' },
      },
    ])
    level.now = '2'
    await twice(both, host)
    expect(posted).toHaveLength(3)
  })

  it('not of what lasts for a moment only, as a restart does', async () => {
    const { host, posted, level } = machine()
    const both = alerts(wanted(yaml))
    for (const now of ['4', '1', '4', '1']) {
      level.now = now
      await both.run(host)
    }
    expect([posted, await heldAlerts(host)]).toEqual([[], []])
  })

  it('and remembers over a restart what it told', async () => {
    const { host, posted, level } = machine()
    level.now = '2'
    await twice(alerts(wanted(yaml)), host)
    await twice(alerts(wanted('alerts: { webhook: "https://example.net/hook" }')), host)
    expect(posted).toHaveLength(1)
  })

  it('by the webhook, too, where macOS shows no notification', async () => {
    const { host, posted, level } = machine()
    const both = alerts(wanted(yaml))
    host.run = async () => {
      throw new Error('no window server')
    }
    level.now = '4'
    await expect(twice(both, host)).rejects.toThrow('no window server')
    expect(posted).toHaveLength(1)
  })

  it('and says which address took nothing, in no words of a library', async () => {
    const { host, level } = machine()
    host.post = async () => {
      throw new TypeError('fetch failed')
    }
    level.now = '4'
    await expect(twice(alerts(wanted(yaml)), host)).rejects.toThrow(
      /^alerts\.webhook: nobody takes them at https:\/\/example\.net\/hook$/,
    )
  })

  it('nobody who wants to be told nowhere, and yet keeps it open for whoever types a command', async () => {
    const { host, posted, level } = machine()
    level.now = '4'
    await twice(alerts(wanted('alerts: { notification: false }')), host)
    expect([posted, host.ran]).toEqual([[], []])
    expect(await heldAlerts(host)).toEqual([expect.objectContaining({ id: 'anomaly.memory' })])
  })

  it('a stopped gateway: that first, and nothing new of Ollama, which nobody can see then', async () => {
    const { host, posted } = machine()
    const both = alerts(wanted(yaml))
    host.ask = async () => undefined
    await twice(both, host)
    expect(posted.map(({ body }) => body)).toEqual([
      {
        event: 'anomaly.gateway',
        state: 'open',
        text: expect.stringMatching(/^The gateway is down \(nobody gets an answer\)\. See: /),
      },
    ])
  })

  it('each key by itself, from three days before its end', async () => {
    const { host, posted } = machine()
    const in_ = (days: number) => new Date(Date.now() + days * 24 * 3_600_000).toISOString()
    const key = (days: number) => ({ hashes: [{ sha256: 'A'.repeat(64) }], created: in_(-9), expires: in_(days) })
    const put = (keys: object) => host.files.set(places(host).keys, JSON.stringify({ version: 1, keys }))
    const both = alerts(wanted(yaml))
    put({ ada: key(2), bob: key(9) })
    await twice(both, host)
    put({ ada: key(2), bob: key(2.5) })
    await twice(both, host)
    put({ ada: key(90), bob: key(2.5) })
    await twice(both, host)
    const told = posted.map(({ body }) => body as { event: string; state: string })
    expect(told.map(({ event, state }) => [event, state])).toEqual([
      ['anomaly.key-ada', 'open'],
      ['anomaly.key-bob', 'open'],
      ['anomaly.key-ada', 'over'],
    ])
  })
})

describe('a command', () => {
  it('begins with the gravest alert, its time, what to type and how many more there are', () => {
    const since = new Date(2026, 10, 29, 14, 2).getTime()
    const alert = (id: string) => ({
      id,
      since,
      title: '',
      text: `The ${id} is down (it does not answer).`,
      next: 'See: rop doctor',
    })
    expect(lineOf([], new Date(since))).toBeUndefined()
    expect(lineOf([alert('gateway')], new Date(since))).toBe(
      '! Since 14:02: The gateway is down (it does not answer). See: rop doctor',
    )
    expect(lineOf([alert('gateway'), alert('engine')], new Date(2026, 10, 30))).toMatch(
      /^! Since 2026-11-29 14:02: The gateway .*\(1 more: .*doctor\)$/,
    )
  })

  it('believes no observer that is gone', async () => {
    const { host, level } = machine()
    level.now = '4'
    await twice(alerts(wanted('')), host)
    expect(await openAlerts(host)).toEqual([])
    const sign = { pid: 1, at: Date.now(), faults: [] }
    host.files.set(places(host).observer, JSON.stringify(sign))
    expect(await openAlerts(host)).toHaveLength(1)
    host.files.set(places(host).observer, JSON.stringify({ ...sign, at: Date.now() - 60_000 }))
    expect(await openAlerts(host)).toEqual([])
  })
})

describe('a notification at the first install', () => {
  it('is tried once, so that somebody sees whether macOS shows any', async () => {
    const { host } = machine()
    expect([await tryNotification(host), await tryNotification(host)]).toEqual([true, false])
    expect(host.ran.filter((words) => words.startsWith('osascript'))).toHaveLength(1)
    expect(await triedOn(host)).toMatch(/^\d{4}-\d\d-\d\d$/)
  })
})
