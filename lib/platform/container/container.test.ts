import { describe, expect, test } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { partsOf } from '../../parts/index.ts'
import { parseSettings } from '../../site/settings.ts'
import { jobsOf, labels, places, platformOf } from '../here.ts'
import { container } from './container.ts'
import { jobFiles } from './jobs.ts'

const at = { home: '/gateway', system: 'container' as const }
const template = "# container-gateway: HAProxy\nexport GATEWAY_ADDRESS='{{address}}'\nexec it '{{haproxy}}'\n"
const filled = jobFiles.filled(template, { address: "o'clock", haproxy: '/usr/sbin/haproxy' })
const run = places(at).run

describe('a container', () => {
  test('has what runs, and nothing that a machine alone has', () => {
    const settings = parseSettings('role: gateway\naccess: keys\n', 'f')
    const names = partsOf(at, { mode: 'proxy', settings }).map(({ name }) => name)
    expect(names).toEqual(['system', 'ollama', 'certificates', 'haproxy', 'observer', 'models'])
    expect(platformOf(at)).toBe(container)
  })

  test('everything that is written lies in its volume, its logs or its memory, and nothing in what the owner gives', () => {
    const { settings, given, support, runtime, current, node, ...written } = places(at)
    expect(Object.values(written).filter((path) => !/^\/gateway\/(state|gateway|run|logs|jobs)/.test(path))).toEqual([])
    expect([settings, given?.keys, given?.nodes].map((path) => path?.startsWith('/gateway/config/'))).toEqual([
      true,
      true,
      true,
    ])
    expect([support, runtime, current, node].every((path) => path.startsWith('/usr/local/lib/'))).toBe(true)
  })

  test('a job is a script whose values cannot end their quotes, and is read back', () => {
    expect(filled.label).toBe('container-gateway')
    expect(filled.text).toContain("export GATEWAY_ADDRESS='o'\\''clock'")
    expect(filled.variable('GATEWAY_ADDRESS')).toBe("o'clock")
  })

  test('a job runs as its keeper wrote it down, and another script than the file’s is told', async () => {
    const files = new Map([[`${places(at).agents}/container-gateway.job`, filled.text]])
    const host = { ...memoryHost({ files }), ...at }
    const jobs = jobsOf({ ...at, uid: 0 })
    expect(await jobs.job(host, labels(at).gateway)).toMatchObject({ state: 'not running' })
    expect(await jobs.job(host, labels(at).observer)).toBeUndefined()
    files.set(`${run}/container-gateway.pid`, '7\n')
    files.set(`${run}/container-gateway.script`, filled.text)
    files.set('/proc/7', '')
    const job = await jobs.job(host, labels(at).gateway)
    expect([job?.pid, job?.unlike(filled), job?.unlike({ ...filled, text: 'other' })]).toEqual([7, [], ['arguments']])
    expect(await jobs.loaded(host)).toEqual(['container-gateway'])
  })

  test('is reached at the first address that is not its own alone', async () => {
    const shown = [
      { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1' }] },
      { ifname: 'eth0', addr_info: [{ family: 'inet', local: '172.18.0.2' }] },
    ]
    const query = async () => ({ code: 0, stdout: JSON.stringify(shown), stderr: '' })
    expect(await container.door?.address({ ...memoryHost(), ...at, query })).toBe('172.18.0.2')
  })

  test('says what its owner has to give where it is missing', async () => {
    const none = { ...memoryHost(), ...at, query: async () => ({ code: 1, stdout: '10001\n', stderr: '' }) }
    const fixed = await container.facts.survey({ ...memoryHost(), ...at })
    const said = await Promise.all(container.fitness(fixed).map(({ ask }) => ask(none)))
    expect(said.map((one) => one.is === 'wanting' && one.help)).toEqual([
      expect.stringContaining('cp config/settings.yaml.example config/settings.yaml'),
    ])
  })
})
