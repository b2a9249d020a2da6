import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { installedBox, settingsFile } from './installed.ts'
import { cannot, expectGreen, titled, told } from './witness.ts'

describe.skipIf(cannot)(titled('a second engine becomes a node'), () => {
  let box: Box
  const rop = (...words: string[]) => box.run([`${box.prefix}/bin/rop`, ...words], { cwd: '/' })
  const listed = async () =>
    JSON.parse((await rop('nodes', '--json')).stdout) as { name: string; state: string; models: { name: string }[] }[]

  beforeAll(async () => {
    box = await installedBox({ settings: "models: ['qwen3:0.6b']\n" })
    box.start(['/bin/sh', '-c', `OLLAMA_HOST=127.0.0.1:12500 exec ${box.prefix}/bin/ollama serve`])
  })
  afterAll(() => box?.close())

  it('is refused while nobody listens there, and nothing is changed', async () => {
    const outcome = await rop('nodes', 'add', 'other', '127.0.0.1:12999')
    expect([outcome.code, outcome.stderr]).toEqual([3, expect.stringContaining('Nothing was changed.')])
    expect(await listed()).toEqual([])
  })

  it('is refused where its name is known to no resolver', async () => {
    const outcome = await rop('nodes', 'add', 'other', 'no-such-machine.invalid')
    expect([outcome.code, outcome.stderr]).toEqual([3, expect.stringMatching(/resolver[^.]*\. Nothing was changed\./)])
    expect(await listed()).toEqual([])
  })

  it('is recognised, shown with what it has, and answers', async () => {
    const outcome = await rop('nodes', 'add', 'second', '127.0.0.1:12500', '--slots', '2')
    expectGreen(outcome.code, told(outcome))
    expect(outcome.stdout).toContain('second is Ollama with')
    expect((await listed()).map(({ name, state }) => [name, state])).toEqual([
      ['here', 'up'],
      ['second', 'up'],
    ])
    expect((await rop('nodes', 'why', 'qwen3:0.6b')).stdout).toMatch(/^→ {2}/m)
  })

  it('is watched on a terminal until q, and shown once where there is none', async () => {
    const watching = box.start([`${box.prefix}/bin/rop`, 'nodes', '--watch'], { tty: true })
    for (const seen of ['second', 'q leaves', 'second', 'q leaves']) await watching.expect(seen)
    watching.write('q')
    expect((await watching.done).code).toBe(0)
    expect(await rop('nodes', '--watch')).toMatchObject({ code: 0, stdout: expect.stringContaining('second') })
  })

  it('loads a model where it is told to', async () => {
    const outcome = await rop('warm', 'qwen3:0.6b', '--on', 'second')
    expect([outcome.code, outcome.stdout]).toEqual([0, expect.stringMatching(/^second:\nqwen3:0\.6b: loaded/m)])
    expect((await rop('warm', 'qwen3:0.6b', '--on', 'secnd')).stderr).toContain('did you mean second?')
  })

  it('loads what stands at a node whenever the models of this machine are loaded', async () => {
    box.write(settingsFile, box.read(settingsFile).replace('second: {', "second: { models: ['qwen3:0.6b'],"), 0o600)
    const outcome = await rop('warm')
    expect([outcome.code, outcome.stdout], told(outcome)).toEqual([
      0,
      expect.stringMatching(/^qwen3:0\.6b: loaded.*\nsecond:\nqwen3:0\.6b: loaded/m),
    ])
  })

  it('leaves everything proven', async () => {
    for (const words of [['status'], ['test'], ['test', '--hostile']]) {
      const outcome = await rop(...words)
      expectGreen(outcome.code, told(outcome))
    }
    expect((await rop('install', '--yes')).stdout).toContain('Nothing to do')
  })

  it('is proven by what disturbs, too, and all is put back', async () => {
    const outcome = await rop('test', '--disturbing', '--only', 'nodes', '--verbose')
    expectGreen(outcome.code, told(outcome))
    for (const id of ['nodes.drain', 'nodes.death', 'nodes.observer'])
      expect(outcome.stdout).toMatch(new RegExp(`^✓ .*\\[${id}\\]`, 'm'))
    expect((await listed()).map(({ state }) => state)).toEqual(['up', 'up'])
  })

  it('goes on while the observer is gone, and status says what is worse until it is back', async () => {
    await box.run(['launchctl', 'bootout', `gui/${box.state().uid}/com.haproxy.observer`])
    const { code, stdout } = await rop('status')
    expect([code, stdout.replaceAll(/\s+/g, ' ')]).toEqual([
      1,
      expect.stringContaining('requests go on to nodes by what they last had'),
    ])
    const outcome = await rop('install', '--yes')
    expectGreen(outcome.code, told(outcome))
  })

  it('is drained, takes requests again, and is removed', async () => {
    expect((await rop('nodes', 'drain', 'second', '--wait')).stdout).toContain('second is drained')
    expect((await listed()).find(({ name }) => name === 'second')?.state).toBe('drained')
    expect((await rop('nodes', 'ready', 'second')).code).toBe(0)
    const outcome = await rop('nodes', 'remove', 'second')
    expectGreen(outcome.code, told(outcome))
    expect(await listed()).toEqual([])
    expect((await rop('test')).code).toBe(0)
  })
})
