import { describe, expect, it } from 'vitest'
import { memoryWorker, withWorkers } from '../../../test/memory-haproxy.ts'
import { memoryHost } from '../../../test/memory-host.ts'
import { parseSettings } from '../../site/settings.ts'
import { loaded } from './loaded.ts'

const settings = () => parseSettings('', '')

const believing = () =>
  memoryWorker({ slot: 3, maps: { 7: { file: '/x/loaded.map', lines: new Map([['-until', '0']]) } } })

/** A gateway with these workers, whose commands are kept, and an Ollama that says this of loaded models. */
function machine(pids: string[], body: string) {
  const host = memoryHost()
  const workers = Object.fromEntries(pids.map((pid) => [pid, believing()]))
  const { told } = withWorkers(host, workers)
  host.probe = async () => ({ end: 'complete', status: 200, headers: {}, body, pieces: [], ms: 1 })
  return { host, workers, told, slots: () => told.filter((command) => command.includes('maxconn')).splice(0) }
}
const models = (...names: string[]) => JSON.stringify({ models: names.map((name) => ({ name, size: 1 })) })

describe('the duty for loaded models', () => {
  it('narrows the slot that an observer which was killed left wide, and that of each worker that comes, once', async () => {
    const { host, workers, told, slots } = machine(['12', '34'], models())
    const duty = loaded(settings)
    await duty.run(host)
    const narrow = (pid: string) => `${pid} set maxconn server inference/loading 1`
    expect(slots()).toEqual([narrow('12'), narrow('34')])
    delete workers['12']
    workers['56'] = believing()
    told.length = 0
    for (const _ of [1, 2]) await duty.run(host)
    expect(slots()).toEqual([narrow('56')])
  })

  it('leaves out names that no request can have, and tells the rest', async () => {
    const { host, told } = machine(['12'], models('Good:1b', 'a;b', 'a\nshutdown', 'a b', '-until', 'é'))
    await loaded(settings, () => 1_000_000).run(host)
    expect(told.filter((command) => /good/.test(command))).not.toEqual([])
    expect(told.filter((command) => /[;\n]|é|shutdown|#7 \S*a[ ;]/.test(command))).toEqual([])
    expect(told).toContain('12 set map #7 -until 1005')
  })

  it.each(['', 'nonsense', '{"models":7}', '{"models":[{"name":7}]}'])('goes on when Ollama says %j', async (body) => {
    const { host, told } = machine(['12'], body)
    await loaded(settings).run(host)
    expect(told).toEqual([])
  })
})
