import { setTimeout as pause } from 'node:timers/promises'
import { addRunning, removeRunning, setRunningMap } from '../../../lib/haproxy/runtime.ts'
import { streamRows } from '../../../lib/haproxy/streams.ts'
import { generateKey, hashKey } from '../../../lib/people/key.ts'
import { recordOf } from '../../../lib/people/records.ts'
import { places } from '../../../lib/platform/mac/places.ts'
import type { Limits } from '../../../lib/site/limits.ts'
import { eventually } from '../../lab/gateway.ts'
import { type Client, dial, type Exchange, request } from '../../lab/raw.ts'
import { arrived, ask, must, type Patient, refusal } from './asking.ts'
import { bearer, secrets } from './keyed.ts'
import type { Expectation } from './quick.ts'

const underWay = 'table streams data.conn_cur gt 0'
const messages = 'POST /v1/messages'
const show = ({ gateway }: Patient, what: string) =>
  gateway.machine.ask(places(gateway.home).adminSocket, `show ${what}`).then((said) => said ?? '')
const map = ({ gateway }: Patient, name: string, lines: [string, string][]) =>
  setRunningMap(gateway.machine, name, new Map(lines))
const now = () => Math.floor(Date.now() / 1000)
const passes = ({ status, body }: Exchange, what: string) => must(status === 200, `${what}: ${status} ${body}`)

/** Requests that stay, for as long as something is looked at. */
async function holding(
  patient: Patient,
  look: (open: (mark: string, key: string, body?: string) => Promise<void>) => Promise<void>,
) {
  const clients: Client[] = []
  try {
    await look(async (mark, key, body = '{"model":"m"}') => {
      const client = await dial(patient.gateway)
      clients.push(client)
      const head = [`Host: ${patient.gateway.host}`, ...bearer(key)]
      client.send(request(`POST /api/chat?e=silent&${mark} HTTP/1.1`, head, body))
    })
  } finally {
    for (const client of clients) client.hangUp()
    await eventually('all are gone', async () => !/conn_cur=[1-9]/.test(await show(patient, underWay)), 2_000)
  }
}

const runs = (patient: Patient, mark: string, count = 1) =>
  eventually(`${count} of ${mark} run`, () => arrived(patient, mark).length === count, 1_500)

async function hasABurst(patient: Patient): Promise<void> {
  passes(await ask(patient, messages, bearer(secrets.bursty)), 'one in 10 seconds')
  const over = await ask(patient, messages, bearer(secrets.bursty))
  refusal(over, 429, 'bursty may start 1 requests in 10 seconds')
  must(over.headers['retry-after'] === '10', `told to wait ${over.headers['retry-after']} s`)
  passes(await ask(patient, 'GET /v1/models', bearer(secrets.bursty)), 'a list after too many')
}

/** What somebody asked before there was a limit is no part of it. */
async function isLimitedLater(patient: Patient): Promise<void> {
  const { machine } = patient.gateway
  const key = generateKey()
  const told = (limits: Limits) =>
    addRunning(machine, 'keys/keys.map', new Map([[hashKey(key), recordOf('later', 4_000_000_000, limits)]]))
  await told({})
  for (let at = 0; at < 3; at += 1) passes(await ask(patient, messages, bearer(key)), 'no limit yet')
  await removeRunning(machine, 'keys/keys.map', [hashKey(key)])
  await told({ perMinute: 2, burst: 2 })
  for (const at of [1, 2]) passes(await ask(patient, messages, bearer(key)), `request ${at} of 2`)
  refusal(await ask(patient, messages, bearer(key)), 429, 'later may start 2 requests a minute')
  await removeRunning(machine, 'keys/keys.map', [hashKey(key)])
}

async function hasAShare(patient: Patient): Promise<void> {
  await map(patient, 'keys/spent.map', [
    ['spent', `${now() + 100}|2h|2030-01-02`],
    ['alice', `${now() - 5}|2h|2030-01-02`],
    ['calm', `${now() + 100_000}|2h|2030-01-02`],
  ])
  const over = await ask(patient, messages, bearer(secrets.spent))
  refusal(over, 429, 'spent has used up its 2h of this day; it begins anew on 2030-01-02.')
  const wait = Number(over.headers['retry-after'])
  must(wait > 150 && wait <= 160 && over.headers['x-should-retry'] === 'false', `wait ${wait}`)
  passes(await ask(patient, 'GET /v1/models', bearer(secrets.spent)), 'a list without a share')
  passes(await ask(patient, messages, bearer(secrets.alice)), 'a share of a day that is over')
  passes(await ask(patient, messages, bearer(secrets.calm)), 'a share of a day from before the clock was set back')
  await map(patient, 'keys/spent.map', [])
}

async function waitsWithFew(patient: Patient): Promise<void> {
  await holding(patient, async (open) => {
    for (const at of [1, 2]) await open(`free${at}`, secrets.waiter)
    await runs(patient, '&free', 2)
  })
  await holding(patient, async (open) => {
    for (let at = 0; at < 8; at += 1) await open('taken', secrets.alice)
    await runs(patient, '&taken', 8)
    await open('queued', secrets.waiter)
    const table = () => show(patient, underWay)
    await eventually('one waits', async () => /key=waiter\|/.test(await table()), 1_500)
    refusal(await ask(patient, messages, bearer(secrets.waiter)), 429, 'waiter may then have 1 requests under way')
    await open('others', secrets.alice)
    await eventually('another waits, too', async () => ((await table()).match(/=alice\|/g) ?? []).length === 9, 1_500)
  })
}

async function hasTimes(patient: Patient): Promise<void> {
  const post = (who: keyof typeof secrets, e: string, path = '/v1/messages') =>
    ask(patient, `POST ${path}?e=${e}`, bearer(secrets[who]))
  const [late, group, common, pausing, quiet, begun, cut, hushed, calm] = await Promise.all([
    post('patient', 'late'),
    post('alice', 'late', '/api/chat'),
    post('alice', 'late'),
    post('patient', 'pausing'),
    post('alice', 'pausing', '/api/chat'),
    post('begun', 'pausing'),
    post('alice', 'pausing'),
    post('hushed', 'late'),
    post('calm', 'pausing'),
  ])
  passes(late, 'late, but in the time of the key')
  passes(group, 'late, but in the time of the group')
  for (const { status } of [common, hushed]) must(status === 504, `late: ${status}`)
  must(quiet.replies[0]?.whole === true, 'silence within the time of the group is cut')
  must(pausing.replies[0]?.whole === true, 'silence within the time of the key is cut')
  must(begun.replies[0]?.whole === patient.gateway.version[0] >= 3, 'a first byte’s time is another thing than silence')
  must(calm.replies[0]?.whole === patient.gateway.version[0] < 3, 'before 3.0 the larger limit is for both')
  must(cut.replies[0]?.whole === false, 'silence is not cut')
}

/** From HAProxy 3.4 on; an older one has one time for all. */
async function hasATimeInTheQueue(patient: Patient): Promise<void> {
  const [major, minor] = patient.gateway.version
  if (major < 3 || (major === 3 && minor < 4)) return
  await holding(patient, async (open) => {
    for (let at = 0; at < 8; at += 1) await open('slots', secrets.alice)
    await runs(patient, '&slots', 8)
    const over = await ask(patient, messages, bearer(secrets.brief))
    refusal(over, 429, 'no slot came free in the time that this key or group may wait')
    const logged = () => patient.gateway.log().some((line) => line.includes('"denied":"timeouts"'))
    await eventually('its reason is logged', logged, 1_500)
  })
}

/** From HAProxy 3.0 on. */
async function hasBytesASecond(patient: Patient): Promise<void> {
  if (patient.gateway.version[0] < 3) return
  const paced = await dial(patient.gateway)
  const line = `${messages}?e=stream`
  paced.send(request(`${line} HTTP/1.1`, [`Host: ${patient.gateway.host}`, ...bearer(secrets.paced)], '{"model":"m"}'))
  try {
    passes(await ask(patient, line, bearer(secrets.alice)), 'another key beside it')
    await pause(300)
    const [reply] = paced.replies()
    must(reply?.status === 200 && !reply.whole, `not slowed: ${reply?.status} ${reply?.body.length} bytes`)
  } finally {
    paced.hangUp()
  }
}

/** What whoever looks from outside is told of a request. */
async function isWrittenDown(patient: Patient): Promise<void> {
  await holding(patient, async (open) => {
    await open('down', secrets.patient, '{"x":1,"model":"Qwen3:8b"}')
    await open('down', secrets.alice, '{"model":"a b|c"}')
    await open('down', secrets.listed, '{"model":"qwen3:0.6b"}')
    await runs(patient, '&down', 3)
    const table = await show(patient, underWay)
    for (const row of ['patient\\|127[^| ]*:\\d+\\|77\\|qwen3:8b', 'alice\\|[^|]*\\|30\\|', 'listed\\|.*\\|qwen3:0.6b'])
      must(new RegExp(`key=${row} use=`).test(table), `no ${row} in ${table}`)
    for (const { who, started } of streamRows(table).values())
      must(Math.abs(Date.now() - started) < 60_000, `${who} began at ${started}`)
    must((await ask(patient, 'GET /v1/models', bearer(secrets.alice))).status === 200, 'a list')
    must(((await show(patient, underWay)).match(/key=/g) ?? []).length === 3, 'a list is written down')
  })
  const slow = await dial(patient.gateway)
  slow.send(
    request(`${messages} HTTP/1.1`, [
      `Host: ${patient.gateway.host}`,
      ...bearer(secrets.alice),
      'Content-Length: 300000',
    ]),
  )
  await pause(50)
  slow.send(JSON.stringify({ model: 'big', x: 'x'.repeat(90_000) }))
  const seen = eventually(
    'it is seen',
    async () => /=alice\|[^|]*\|300\|big use/.test(await show(patient, underWay)),
    1_500,
  )
  await seen.finally(slow.hangUp)
}

async function loadsOneAtATime(patient: Patient): Promise<void> {
  const loaded = (until: number) =>
    map(patient, 'loaded.map', [
      ['-until', `${until}`],
      ['warm', 'yes'],
    ])
  const cold = (mark: string) => [mark, secrets.alice, `{"model":"${mark}"}`] as const
  await loaded(now() + 12)
  await holding(patient, async (open) => {
    await open(...cold('colda'))
    await runs(patient, '&colda')
    await open(...cold('coldb'))
    await eventually(
      'both are known',
      async () => ((await show(patient, underWay)).match(/\|cold/g) ?? []).length === 2,
      1_500,
    )
    await runs(patient, '&cold')
    for (const body of ['{"model":"Warm"}', '[]'])
      passes(await ask(patient, messages, bearer(secrets.alice), body), body)
    must(arrived(patient, '&cold').length === 1, 'two are loaded at once')
  })
  await loaded(now() - 1)
  await holding(patient, async (open) => {
    for (const mark of ['usuala', 'usualb']) await open(...cold(mark))
    await runs(patient, '&usual', 2)
  })
  await loaded(0)
}

/** What keys may use, beside what keyed.ts asks. */
export const limited: Expectation[] = [
  ['a key has a burst', hasABurst],
  ['a key is limited later', isLimitedLater],
  ['a key has a share of the day', hasAShare],
  ['a key waits with few requests', waitsWithFew],
  ['a key and a group have times', hasTimes],
  ['a key has a time in the queue', hasATimeInTheQueue],
  ['a key has bytes a second', hasBytesASecond],
  ['what is under way is written down', isWrittenDown],
  ['one model is loaded at a time', loadsOneAtATime],
]
