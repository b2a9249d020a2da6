import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/mac/places.ts'
import { fingerprintOf } from '../site/configuration.ts'
import { nearName, nodeKeysName, tableName } from '../site/nodes.ts'
import { emptyReceipt } from '../site/receipt.ts'
import { reloadedJustNow, swap } from './reload.ts'

const processes = (old: number): string =>
  [
    '#<PID>          <type>          <reloads>       <uptime>        <version>',
    '100             master          40              0d00h10m00s     3.4.7-1',
    '# workers',
    '200             worker          0               0d00h00m01s     3.4.7-1',
    '# old workers',
    ...Array.from({ length: old }, (_, at) => `${300 + at}             worker          ${at + 1}`),
    '# programs',
    '',
  ].join('\n')

it.each([
  [15, ['run haproxy -c']],
  [16, []],
])('with %i earlier workers that still serve streams: %j', async (old, wanted) => {
  const host = memoryHost({ commands: { 'haproxy -c': {} } })
  const files = {
    ...host,
    ask: async (_socket: string, command: string) => (command === 'show proc' ? processes(old) : undefined),
  }
  const configuration = { text: 'setenv CFG_ID x\n', files: {}, fingerprint: 'x' }
  const change = swap(files, { receipt: emptyReceipt(), configuration, haproxy: 'haproxy' })
  if (old >= 16) await expect(change).rejects.toThrow(/still running under 16 earlier .* Nothing was changed/)
  else await change
  expect(host.ran.map((line) => `run ${line.slice(0, 10)}`)).toEqual(wanted)
  expect(host.files.size > 0).toBe(old < 16)
})

it('keys of nodes that no configuration names any more are removed with it, and those of before the change stay', async () => {
  const host = memoryHost({ commands: { 'haproxy -c': {} } })
  const { config, keyMaps } = places(host.home)
  const nodes = (name: string) => [{ name, address: '100.64.0.7', port: 1, engine: 'ollama' as const }]
  const made = (name: string) => [tableName(nodes(name)), nearName(nodes(name)), nodeKeysName(nodes(name))]
  const others = ['nodes-drain.map', 'keys.map']
  for (const name of [...['older', 'old', 'new'].flatMap(made), 'nodes-keys.map', ...others])
    host.files.set(`${keyMaps}/${name}`, '')
  const naming = (name: string) =>
    made(name)
      .map((file) => `map_str(${keyMaps}/${file})`)
      .join('\n')
  host.files.set(config, naming('old'))
  const configuration = { text: naming('new'), files: {}, fingerprint: 'x' }
  await swap(host, { receipt: emptyReceipt(), configuration, haproxy: 'haproxy' })
  expect((await host.list(keyMaps)).sort()).toEqual([...made('old'), ...made('new'), ...others].sort())
})

it('a reload waits until the last one is five seconds old, and says so', async () => {
  const said: string[] = []
  const ages = [3, 4, 5]
  const young = { ...memoryHost(), ask: async () => `Version: 3.4.7\nPid: 1\nUptime_sec: ${ages.shift()}\n` }
  expect(await reloadedJustNow(young, (text) => said.push(text))).toBe(true)
  expect(ages).toEqual([])
  expect(said.join()).toContain('share the next reload')
  const nobody = memoryHost()
  expect(await reloadedJustNow(nobody, (text) => said.push(text))).toBe(false)
  const old = { ...memoryHost(), ask: async () => 'Version: 3.4.7\nPid: 1\nUptime_sec: 5\n' }
  expect(await reloadedJustNow(old, (text) => said.push(text))).toBe(false)
  expect(said).toHaveLength(1)
})

/** A gateway that answers each reload in turn with this, and takes it when it says Success=1. */
function reloading(answers: string[]) {
  const host = memoryHost({ commands: { 'haproxy -c': {} } })
  const config = places(host.home).config
  host.files.set(config, 'setenv CFG_ID '.concat('a'.repeat(64), '\n'))
  let running = 'a'.repeat(64)
  let failed = 0
  host.ask = async (_socket, command) =>
    command === 'show proc' ? `12 master 1 [failed: ${failed}]\n34 worker 0 0d00h00m09s\n` : `CFG_ID=${running}\n`
  host.tell = async () => {
    const said = answers.shift() ?? ''
    if (said.includes('Success=1')) running = fingerprintOf(host.files.get(config) ?? '')
    else if (!said.includes('in progress')) failed += 1
    return said
  }
  const fingerprint = 'b'.repeat(64)
  const change = { text: `setenv CFG_ID ${fingerprint}\n`, files: {}, fingerprint }
  return { host, swap: () => swap(host, { receipt: emptyReceipt(), configuration: change, haproxy: 'haproxy' }) }
}

const lost = 'Success=0\n--\n[ALERT]    (9) : Failed to get the sockets from the old process!\n'
const inUse =
  'Success=0\n--\n[ALERT]    (9) : Binding for frontend tailnet: cannot bind socket (Address already in use)\n'
const busy = 'Another reload is still in progress.\n'
const absent = 'Success=0\n--\n[ALERT]    (9) : cannot bind socket (Cannot assign requested address)\n'
const good = 'Success=1\n'

it.each([
  ['whose sockets were lost is tried again', [lost, inUse, good], undefined],
  ['waits for another one that is in progress', [busy, busy, good], undefined],
  [
    'whose address is missing goes back at once',
    [absent, good],
    /Cannot assign requested address.*is back and answers/,
  ],
  [
    'whose sockets are lost again and again goes back',
    [lost, lost, inUse, good],
    /Address already in use.*is back and answers/,
  ],
  [
    'is told when another one never ends',
    Array.from({ length: 5 }, () => busy),
    /HAProxy says that another one is still in progress/,
  ],
])('a reload %s', async (_what, answers, wanted) => {
  const { host, swap } = reloading([...answers, good])
  if (wanted) await expect(swap()).rejects.toThrow(wanted)
  else await swap()
  expect(fingerprintOf(host.files.get(places(host.home).config) ?? '')).toBe((wanted ? 'a' : 'b').repeat(64))
})
