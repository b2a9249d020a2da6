import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, differences } from '../box/box.ts'
import { longChat, openStream } from './stream.ts'
import { answerEach, at, cannot, everything, installed, pids, quickBox, run, screen, titled, told } from './witness.ts'

const settings = 'models: [tiny-loop]\n'

describe.skipIf(cannot)(titled('changed settings'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, settings, 0o600)
    expect(await run(box, 'apply.ts')).toMatchObject({ code: 3, stderr: expect.stringContaining('run install.ts') })
    await installed(box)
  })
  afterAll(() => box?.close())

  const change = (text: string) => box.write(at(box).settings, `${settings}${text}`, 0o600)
  async function applied(...flags: string[]) {
    const outcome = await run(box, 'apply.ts', ...flags)
    expect(outcome.code, told(outcome)).toBe(0)
    return outcome.stdout
  }

  it('that are none need nothing', async () => {
    expect(await applied()).toContain('Nothing to do: everything is as the settings say.')
    // The observer reads it itself.
    change('log: requests\n')
    expect(await applied()).toContain('Nothing to do: everything is as the settings say.')
  })

  it('are shown with what they need by a dry run, which changes no byte', async () => {
    change('queue: { max: 3 }\n')
    const before = everything(box)
    const said = await applied('--dry-run', '--verbose')
    expect(said).toMatch(/^queue\.max is 3 now; it was 64\.$/m)
    expect(said).toMatch(/\+ .*3 requests are waiting already/)
    expect(said).toContain('reload: a new worker takes over')
    expect(said).not.toMatch(/restart of/)
    expect(differences(before, everything(box))).toEqual([])
  })

  it('of the gateway take a reload, under a stream that goes on', async () => {
    const before = await pids(box)
    const stream = await openStream(box, longChat(300))
    await stream.sees('w05')
    expect(await applied()).toMatch(/✓|→ The gateway’s configuration is the one the settings give/)
    const after = await pids(box)
    expect([after.master, after.engine]).toEqual([before.master, before.engine])
    expect(after.worker).not.toBe(before.worker)
    expect(await stream.ended).toBe('whole')
  })

  it('of Ollama restart Ollama and nothing else', async () => {
    change('queue: { max: 3 }\nkeep_alive: 2h\n')
    const before = await pids(box)
    expect(await applied('--dry-run')).toContain('restart of Ollama: new requests to a model get 429 meanwhile')
    await applied()
    const after = await pids(box)
    expect(after.engine).not.toBe(before.engine)
    expect({ ...after, engine: 0 }).toEqual({ ...before, engine: 0 })
  })

  it('start the gateway when it was stopped', async () => {
    await box.run(['launchctl', 'bootout', `gui/${box.state().uid}/${labels.gateway}`])
    expect((await pids(box)).worker).toBeUndefined()
    expect(await applied()).toContain('restart of the proxy')
    expect((await pids(box)).worker).toBeGreaterThan(0)
  })

  it('replace no file that somebody edited without asking', async () => {
    const [ours, edited] = [box.read(at(box).config), `${box.read(at(box).config)}# mine\n`]
    box.write(at(box).config, edited)
    const outcome = await run(box, 'apply.ts')
    expect([outcome.code, outcome.stderr]).toEqual([
      3,
      expect.stringMatching(/~\/\.haproxy\/haproxy\.cfg; run install\.ts/),
    ])
    expect(box.read(at(box).config)).toBe(edited)
    for (const [keys, text] of [
      ['n\r', edited],
      ['\r', ours],
    ] as const) {
      const asked = box.startScript('apply.ts', [], { tty: true })
      await answerEach(asked, [['haproxy.cfg was edited by hand or is not ours. Back it up and replace it?', keys]])
      expect((await asked.done).code, screen(asked)).toBe(0)
      expect(box.read(at(box).config), screen(asked)).toBe(text)
    }
  })

  it('that count people are taken where keys.ts was never run', async () => {
    change('limits: { per_minute: 500 }\ntimeouts: { whole: 10m }\n')
    await applied()
    const proved = await run(box, 'test.ts', '--verbose', '--only', 'limits')
    expect(proved.code, told(proved)).toBe(0)
    expect(proved.stdout).toContain('[limits.minute]')
    change('queue: { max: 3 }\nkeep_alive: 2h\n')
    await applied()
  })

  it('that an editor emptied open nothing', async () => {
    const before = await pids(box)
    box.write(at(box).settings, '\n', 0o600)
    expect(await run(box, 'apply.ts')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('settings.yaml is empty'),
    })
    expect(await pids(box)).toEqual(before)
  })

  it('that are faulty change nothing', async () => {
    const before = await pids(box)
    change('log: loud\n')
    const outcome = await run(box, 'apply.ts')
    expect([outcome.code, outcome.stderr]).toEqual([2, expect.stringContaining('nothing was changed')])
    const { stdout: haproxy } = await box.run(['/opt/homebrew/opt/haproxy/bin/haproxy', '-v'])
    if (/version 2\.[67]\./.test(haproxy)) {
      change('limits: { all: { concurrent: 8 }, per_second: 1MB }\ntimeouts: { queue: 30s }\n')
      const { code, stderr } = await run(box, 'apply.ts')
      expect([code, stderr]).toEqual([
        3,
        expect.stringMatching(
          /^haproxy 2\.\S+: too old for limits\.all in settings\.yaml, limits\.per_second in settings\.yaml, timeouts\.queue in settings\.yaml, 3\.4 is needed; upgrade it/,
        ),
      ])
    }
    expect(await pids(box)).toEqual(before)
  })
})
