import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { parseSettings } from '../../site/settings.ts'
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
    command === 'show stat' ? '# pxname,svname,status\ninference,engine,0,UP,1' : ''
  return { host, posted, level }
}

describe('the observer tells of what is unusual', () => {
  const both = alerts(wanted('alerts: { notification: true, webhook: "https://example.net/hook" }'))

  it('once for each event, and again when it comes back', async () => {
    const { host, posted, level } = machine()
    await both.run(host)
    expect(posted).toEqual([])
    level.now = '4'
    await both.run(host)
    await both.run(host)
    expect(posted).toEqual([
      {
        url: 'https://example.net/hook',
        body: { event: 'anomaly.memory', text: expect.stringContaining('memory pressure is critical') },
      },
    ])
    expect(host.ran.filter((words) => words.startsWith('osascript'))).toHaveLength(1)
    level.now = '1'
    await both.run(host)
    level.now = '2'
    await both.run(host)
    expect(posted).toHaveLength(2)
  })

  it('remembers over a restart what it told', async () => {
    const { host, posted, level } = machine()
    level.now = '2'
    await both.run(host)
    await alerts(wanted('alerts: { webhook: "https://example.net/hook" }')).run(host)
    expect(posted).toHaveLength(1)
  })

  it('by the webhook, too, where macOS shows no notification', async () => {
    const { host, posted, level } = machine()
    host.run = async () => {
      throw new Error('no window server')
    }
    level.now = '4'
    await expect(both.run(host)).rejects.toThrow('no window server')
    expect(posted).toHaveLength(1)
  })

  it('says which address took nothing, in no words of a library', async () => {
    const { host, level } = machine()
    host.post = async () => {
      throw new TypeError('fetch failed')
    }
    level.now = '4'
    await expect(both.run(host)).rejects.toThrow(/^alerts\.webhook: nobody takes them at https:\/\/example\.net\/hook$/)
  })

  it('tells nobody who did not ask for it', async () => {
    const { host, posted, level } = machine()
    level.now = '4'
    await alerts(wanted('')).run(host)
    expect([posted, host.ran]).toEqual([[], []])
  })
})
