import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box } from '../box/box.ts'
import { eventually } from './await.ts'
import { setFaults } from './installed.ts'
import { longChat, openStream } from './stream.ts'
import { answer, at, cannot, everything, installed, job, pids, quickBox, run, titled, told } from './witness.ts'

const settings = 'models: [tiny-loop]\nlog: requests\n'
const lost = 'until it runs there is no log of requests, nothing is counted, and no metrics are served'

describe.skipIf(cannot)(titled('the observer’s job'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, settings, 0o600)
  })
  afterAll(() => box?.close())

  const target = () => `gui/${box.state().uid}/${labels.observer}`
  const pid = async () => (await job(box, labels.observer))?.pid
  /** Requests of the laptop with this path in the log; one that was written twice around a kill is one. */
  const logged = (path: string): number => {
    const lines = box.exists(at(box).requestLog) ? box.read(at(box).requestLog).split('\n') : []
    const wanted = lines.filter((line) => line.includes(`"path":"${path}"`) && line.includes('"address":"100.64.0.7"'))
    return new Set(wanted.map((line) => /"id":"([^"]+)"/.exec(line)?.[1])).size
  }
  const status = async () => (await run(box, 'status.ts', '--verbose')).stdout
  const metrics = async () => (await box.run(['curl', '-fs', 'http://127.0.0.1:9411/metrics'])).stdout

  it('needs a free port for its metrics, which is seen before anything is changed', async () => {
    const program = "require('net').createServer().listen(9411, '127.0.0.1', () => console.log('listens'))"
    const other = box.start([process.execPath, '-e', program])
    await other.expect('listens')
    const before = everything(box)
    const outcome = await run(box, 'install.ts', '--yes')
    expect([outcome.code, told(outcome)]).toEqual([
      3,
      expect.stringContaining('set another one in settings.yaml (metrics.port: 9411)'),
    ])
    expect(everything(box)).toEqual(before)
    other.kill('SIGKILL')
    await other.done
  })

  it('is installed, writes the log for its owner alone, and serves metrics to this Mac alone', async () => {
    await installed(box)
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
    await eventually('it is in the log', async () => logged('/api/version') > 0)
    for (const file of [at(box).requestLog, at(box).access])
      expect((await box.run(['stat', '-f', '%Lp', file])).stdout.trim()).toBe('600')
    await eventually('it is counted', async () => (await metrics()).includes('who="100.64.0.7"'))
    expect(await answer(box, 'laptop', '/metrics', { port: 9411 })).toBe('refused')
    expect(await answer(box, 'laptop', '/metrics')).toBe(403)
  })

  it('is started again when it is killed, and no request is lost or waits', async () => {
    const before = await pid()
    const was = logged('/api/tags')
    await box.run(['kill', '-9', `${before}`])
    for (let asked = 0; asked < 10; asked += 1) expect(await answer(box, 'laptop', '/api/tags')).toBe(200)
    await eventually('another one runs', async () => ![undefined, before].includes(await pid()))
    await eventually('all are in the log', async () => logged('/api/tags') >= was + 10)
    expect(logged('/api/tags')).toBe(was + 10)
    await eventually('it gives a sign of life', async () =>
      (await status()).includes('✓ The observer does all its duties'),
    )
  })

  it('is starved, and a stream under way goes on', async () => {
    setFaults(box, { tokenDelayMs: 20 })
    const was = logged('/v1/chat/completions')
    await box.run(['kill', '-STOP', `${await pid()}`])
    const stream = await openStream(box, longChat(20))
    expect([await stream.ended, stream.status()]).toEqual(['whole', 200])
    expect(logged('/v1/chat/completions')).toBe(was)
    await box.run(['kill', '-CONT', `${await pid()}`])
    await eventually('it is in the log', async () => logged('/v1/chat/completions') === was + 1)
    setFaults(box, {})
  })

  it('goes on in the same file when the gateway was started anew: no line is overwritten, and none counts twice', async () => {
    const before = box.read(at(box).access)
    const was = logged('/api/version')
    await box.run(['launchctl', 'kickstart', '-k', `gui/${box.state().uid}/${labels.gateway}`])
    await eventually('the gateway answers', async () => (await answer(box, 'laptop', '/api/version')) === 200)
    await eventually('it is in the log', async () => logged('/api/version') === was + 1)
    expect(box.read(at(box).access).startsWith(before)).toBe(true)
  })

  it('is missed by status.ts, with what does not work; requests go on, and apply.ts brings it back', async () => {
    await box.run(['launchctl', 'bootout', target()])
    const said = await status()
    expect(said).toContain(`${labels.observer} is not loaded; ${lost}`)
    expect(said).toMatch(/NOT AS PROMISED: 1 missed/)
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
    const before = await pids(box)
    expect((await run(box, 'apply.ts')).stdout).toContain('restart of the observer')
    expect(await pid()).toBeGreaterThan(0)
    expect(await pids(box)).toEqual(before)
  })

  it('is gone when the settings say so, and HAProxy writes the log', async () => {
    box.write(at(box).settings, `${settings}observer: off\n`, 0o600)
    const outcome = await run(box, 'apply.ts')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toContain('restart of the proxy')
    expect([await job(box, labels.observer), box.exists(at(box).access)]).toEqual([undefined, false])
    const was = logged('/api/ps')
    expect(await answer(box, 'laptop', '/api/ps')).toBe(403)
    await eventually(
      'HAProxy wrote it',
      async () => box.read(at(box).requestLog).includes('"path":"\\/api\\/ps"') || logged('/api/ps') > was,
    )
    expect(await status()).toContain('✓ No observer runs, as the settings say')
  })
})
