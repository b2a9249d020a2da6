import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, differences } from '../box/box.ts'
import { setFaults } from './installed.ts'
import { lasting, longChat, openStream } from './stream.ts'
import { at, cannot, everything, installed, job, logs, pids, quickBox, titled } from './witness.ts'

describe.skipIf(cannot)(titled('install once more'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [tiny-loop]\n', 0o600)
    await installed(box)
  })
  afterAll(() => box.close())

  it('has nothing to do, changes no file and restarts no process', async () => {
    const [files, processes, runs] = [everything(box), await pids(box), logs(box).length]
    expect(Object.values(processes)).not.toContain(undefined)
    const outcome = await installed(box)
    expect(outcome.stdout).toContain('Nothing to do: everything is as the settings say.')
    expect(outcome.stdout).not.toContain('What will be done')
    expect(differences(files, everything(box))).toEqual([])
    expect(await pids(box)).toEqual(processes)
    expect(logs(box)).toHaveLength(runs + 1)
  })

  it('with changed settings replaces the worker, keeps the master, and no stream is dropped', async () => {
    const before = await pids(box)
    setFaults(box, { tokenDelayMs: 50 })
    const stream = await openStream(box, longChat(lasting(300)))
    await stream.sees('w05')
    box.write(at(box).settings, 'models: [tiny-loop]\nqueue: { max: 63 }\n', 0o600)
    const outcome = await installed(box)
    expect(outcome.stdout).toMatch(/→ The gateway’s configuration is the one the settings give/)
    expect(outcome.stdout).not.toMatch(/→ Ollama runs as written/)
    const after = await pids(box)
    expect(after.master).toBe(before.master)
    expect(after.engine).toBe(before.engine)
    expect(after.worker).not.toBe(before.worker)
    expect(after.worker).toBeDefined()
    expect(await stream.ended).toBe('whole')
    expect(stream.text()).toContain('[DONE]')
    setFaults(box, {})
  })

  it('with a setting of Ollama’s restarts Ollama and nothing else', async () => {
    const before = await pids(box)
    box.write(at(box).settings, 'models: [tiny-loop]\nqueue: { max: 63 }\nkeep_alive: 2h\n', 0o600)
    const outcome = await installed(box)
    expect(outcome.stdout).toMatch(/→ Ollama runs as written/)
    const after = await pids(box)
    expect(after.engine).not.toBe(before.engine)
    expect({ ...after, engine: 0 }).toEqual({ ...before, engine: 0 })
    expect((await job(box, labels.engine))?.environment.OLLAMA_KEEP_ALIVE).toBe('7200s')
  })
})
