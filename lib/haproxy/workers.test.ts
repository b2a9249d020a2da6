import { describe, expect, it } from 'vitest'
import { memoryWorker, withWorkers } from '../../test/memory-haproxy.ts'
import { memoryHost } from '../../test/memory-host.ts'
import { Hangup } from '../host/command.ts'
import { places } from '../platform/mac/places.ts'
import { dryHost } from '../steps/dry-run.ts'
import { setRunningMap, setRunningMaps } from './runtime.ts'
import { changeEach, readEach, workers, workersOf } from './workers.ts'

const head = '#<PID>          <type>          <reloads>       <uptime>        <version>      \n'

it.each([
  [
    'after a reload',
    '# workers\n34              worker          0               0d00h00m01s     2.6.12\n# old workers\n56              worker          1               0d00h10m00s     2.6.12\n# programs\n\n',
    ['34', '56'],
  ],
  // 3.1 and newer list every worker as an old one then.
  [
    'after a reload that failed',
    '# workers\n# old workers\n56              worker          7               0d02h10m00s     3.4.7\n34              worker          1               0d00h00m03s     3.4.7\n\n',
    ['34', '56'],
  ],
  ['before 2.5', '# workers\n34   worker   1\n# old workers\n56   worker   [was: 1]\n# programs\n', ['34', '56']],
])('the worker that serves new requests comes first %s', async (_when, said, wanted) => {
  const host = memoryHost()
  host.ask = async () => `${head}12              master          8 [failed: 1]   0d02h20m00s     3.4.7\n${said}`
  expect((await workersOf(host)).sort()).toEqual(wanted)
  expect((await workersOf(host))[0]).toBe('34')
})

it('no master is named among the workers', () => {
  expect(workers(`${head}12              master          1\n# workers\n34              worker          0\n`)).toEqual([
    '34',
  ])
})

it('an answer on the admin socket of a worker that is not the current one does not count', async () => {
  const host = memoryHost()
  withWorkers(host, { 34: memoryWorker({ slot: 1 }), 56: memoryWorker({ slot: 2 }) })
  const talk = host.telling
  let calls = 0
  // For a moment after a reload the old worker still accepts there.
  host.telling = async (_socket, run) => {
    calls += 1
    return calls < 3 ? run(async (command) => (command === 'show info' ? 'Pid: 56\n' : '\n')) : talk(_socket, run)
  }
  const told: string[] = []
  await changeEach(host, async ({ pid, tell }) => {
    told.push(`${pid} ${(await tell('show stat')).trim().split(',').at(-1)}`)
    return true
  })
  expect([calls, told.sort()]).toEqual([3, ['34 1', '56 2']])
})

it.each(['', "Can't connect to the target CLI!\n"])(
  'a master that says %j in a worker’s place was not heard',
  async (said) => {
    const host = memoryHost()
    withWorkers(host, { 34: memoryWorker(), 56: memoryWorker() })
    const { ask } = host
    host.ask = async (socket, command) => (command.startsWith('@!56') ? said : ask(socket, command))
    await expect(readEach(host, async (worker) => worker.ask('show table streams'))).rejects.toThrow(
      /^unknown: worker 56, which finishes answers that began before the reload 0 s ago, did not answer within 20 s/,
    )
  },
)

it.each([
  ['0d00h00m04s', true],
  ['0d00h10m00s', false],
])(
  'a reload in the midst of a change begins its time anew; the current worker is there for %s',
  async (uptime, held) => {
    const host = memoryHost()
    const lines = new Map([['a', 'b']])
    withWorkers(host, { 34: memoryWorker({ maps: { 7: { file: '/x/keys/keys.map', lines } } }), 56: memoryWorker() })
    const { ask } = host
    let rounds = 0
    host.ask = async (socket, command) => {
      const said = await ask(socket, command)
      if (command === 'show proc') rounds += 1
      // It answers from the seventh round on; a host in memory waits for five.
      if (command.startsWith('@!56')) return rounds > 6 ? said : ''
      return command === 'show proc' ? said?.replace('0d00h00m00s', uptime) : said
    }
    const change = setRunningMap(host, 'keys/keys.map', new Map())
    await (held ? expect(change).resolves.toBe(2) : expect(change).rejects.toThrow('not in force: worker 56'))
  },
)

it('many workers of a busy machine have their time as long as one more answers in each round', async () => {
  const host = memoryHost()
  const lines = () => new Map([['a', 'b']])
  const pids = Array.from({ length: 9 }, (_, at) => 34 + at)
  const all = pids.map((pid) => [pid, memoryWorker({ maps: { 7: { file: '/x/keys/keys.map', lines: lines() } } })])
  withWorkers(host, Object.fromEntries(all))
  const { ask, tell } = host
  let rounds = 0
  const deaf = (command: string) => Number(/^@!(\d+)/.exec(command)?.[1] ?? 0) - 33 > rounds
  host.ask = async (socket, command) => {
    if (command === 'show proc') rounds += 1
    const said = await ask(socket, command)
    return deaf(command) ? '' : command === 'show proc' ? said?.replaceAll('0d00h00m00s', '0d00h10m00s') : said
  }
  host.tell = async (socket, command, payload) => (deaf(command) ? '' : tell(socket, command, payload))
  expect(await setRunningMap(host, 'keys/keys.map', new Map())).toBe(9)
  expect(rounds).toBe(9)
})

describe('a worker that answers while the master is silent', () => {
  const silent = () => {
    const host = memoryHost()
    const lines = new Map([['a', 'b']])
    const { told } = withWorkers(host, { 34: memoryWorker({ maps: { 7: { file: '/x/keys/keys.map', lines } } }) })
    const { ask } = host
    host.ask = async (socket, command) => (socket === places(host.home).masterSocket ? undefined : ask(socket, command))
    return { host, told }
  }
  const why =
    'HAProxy’s master process does not name its workers, so what those that finish earlier answers have is unknown'

  it('is told what is new, and nobody says that it holds everywhere', async () => {
    const { host, told } = silent()
    await expect(setRunningMap(host, 'keys/keys.map', new Map())).rejects.toThrow(`not in force: ${why}`)
    expect(told).toEqual(['34 del map #7 a'])
  })
  it('is not taken for the only one', async () => {
    await expect(readEach(silent().host, (worker) => worker.ask('show sess'))).rejects.toThrow(`unknown: ${why}`)
  })
})

it('where one map cannot be told, the others are, and the fault is said', async () => {
  const host = memoryHost()
  const map = (file: string) => ({ file, lines: new Map([['a', 'b']]) })
  const { told } = withWorkers(host, {
    34: memoryWorker({ maps: { 7: map('/x/keys/keys.map'), 8: map('/x/keys/budgets.map') } }),
    56: memoryWorker(),
  })
  const { ask } = host
  host.ask = async (socket, command) => (command.startsWith('@!56') ? '' : ask(socket, command))
  const none = new Map<string, string>()
  await expect(
    setRunningMaps(host, [
      ['keys/keys.map', none],
      ['keys/budgets.map', none],
    ]),
  ).rejects.toThrow(/^not in force: worker 56,/)
  expect(told).toEqual(['34 del map #7 a', '34 del map #8 a'])
})

it('a command whose connection is reset on the way was not heard, and is no fault of the change', async () => {
  const host = memoryHost()
  const lines = new Map([['a', 'b']])
  withWorkers(host, { 34: memoryWorker(), 56: memoryWorker({ maps: { 7: { file: '/x/keys/keys.map', lines } } }) })
  const { tell } = host
  let resets = 2
  host.tell = async (socket, command) => {
    resets -= 1
    if (resets >= 0) throw new Hangup('read ECONNRESET')
    return tell(socket, command)
  }
  expect(await setRunningMap(host, 'keys/keys.map', new Map())).toBe(2)
  expect(lines.size).toBe(0)
})

it('where nothing runs there is nothing to change, and nothing to read', async () => {
  const host = memoryHost()
  expect(await changeEach(host, async () => false)).toBe(0)
  expect(await readEach(host, async () => 1)).toEqual([])
})

it('a dry run says what it would tell each worker, and misses nothing', async () => {
  const host = memoryHost()
  const { told } = withWorkers(host, {
    34: memoryWorker({ maps: { 7: { file: '/x/keys/keys.map', lines: new Map() } } }),
  })
  const intents: string[] = []
  const dry = dryHost(host, ({ text }) => intents.push(text))
  expect(await setRunningMap(dry, 'keys/keys.map', new Map([['a', 'b']]))).toBe(0)
  expect([told, intents]).toEqual([[], ['haproxy: add map #7 a b']])
})

it('a worker that answers while its master is silent is changed, and those that nobody names are told of', async () => {
  const host = memoryHost()
  const keys = memoryWorker({ maps: { 7: { file: '/x/keys/keys.map', lines: new Map([['bob', '1']]) } } })
  withWorkers(host, { 34: keys })
  const { ask } = host
  host.ask = async (socket, command) => (socket.endsWith('master.sock') ? undefined : ask(socket, command))
  await expect(setRunningMap(host, 'keys/keys.map', new Map())).rejects.toThrow(
    /^not in force: HAProxy’s master process does not name its workers/,
  )
  expect(keys.maps[7]?.lines.size).toBe(0)
})
