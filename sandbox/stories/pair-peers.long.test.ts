import { statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serialInWorker } from '../../lib/certificates/swap.ts'
import { heldPair, pairFile } from '../../lib/certificates/two-gateways.ts'
import { bracketed, peerName } from '../../lib/gateway/pair.ts'
import { connectedTo } from '../../lib/haproxy/peers.ts'
import { rowOf } from '../../lib/haproxy/runtime.ts'
import { realHost } from '../../lib/host/host.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import type { Registry } from '../../lib/site/limits.ts'
import { haproxyOf } from '../attacks/versions/debian.ts'
import { eventually } from '../lab/gateway.ts'
import { type Pair, type Side, startPair, whyNoPair } from '../lab/pair.ts'
import { other } from '../lab/pair-events.ts'

const why = whyNoPair()
const sides: Side[] = ['a', 'b']
const keys = { ann: generateKey(), bob: generateKey(), dan: generateKey(), eve: generateKey() }
const registry: Registry = {
  version: 1,
  keys: Object.fromEntries(
    Object.entries(keys).map(([name, key]) => [
      name,
      {
        created: '2026-01-01T00:00:00.000Z',
        hashes: [{ sha256: hashKey(key) }],
        ...(name === 'dan' ? { concurrent: 4 } : { perMinute: 6 }),
      },
    ]),
  ),
}
const settings = 'ban_after: 40'

describe.skipIf(why !== undefined).each([
  ['the usual HAProxy', undefined, false],
  ['the newest HAProxy', 'experimental', false],
  ['the usual HAProxy over IPv6', undefined, true],
  ['the newest HAProxy over IPv6', 'experimental', true],
] as const)(`two gateways that share what they count: %s${why ? ` (skipped: ${why})` : ''}`, (_which, suite, ipv6) => {
  let pair: Pair
  beforeAll(async () => {
    const haproxy = suite && (await haproxyOf(suite))
    pair = await startPair({ settings, registry, ipv6, ...(haproxy && { haproxy }) })
    for (const side of sides) await pair[side].startHaproxy()
    await eventually('each is connected to the other', together)
    await eventually('neither takes in the other’s table any more', () => sides.every(settled))
  })
  afterAll(async () => {
    await pair?.close()
  })

  const look = (side: Side) => ({ ...realHost(), system: 'mac' as const, home: pair[side].home })
  const connected = (side: Side) => connectedTo(look(side), peerName(pair.at[other(side)]))
  /** For its first five seconds a worker waits for one before it; then it takes in what the other gateway knows, over what it has counted itself. */
  const settled = (side: Side) => Number(/^Uptime_sec: (\d+)$/m.exec(pair[side].told('show info'))?.[1]) > 7
  const together = async () => (await connected('a')) === true && (await connected('b')) === true
  /** What a request to a model got; its answer has no end of its own. */
  const asked = (side: Side, key: string): string => pair.client('sh', '-c', request(side, key, 0.5))
  /** Has this many answers run for half a minute. */
  const hold = (side: Side, key: string, many: number) =>
    void pair.client(
      'sh',
      '-c',
      Array.from({ length: many }, () => `(${request(side, key, 30)}) > /dev/null 2>&1 &`).join('\n'),
    )
  const request = (side: Side, key: string, seconds: number): string => {
    const body = JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'hi' }] })
    return `curl -s -N -m ${seconds} -o /dev/null -w '%{http_code}' -H 'authorization: Bearer ${key}' -H 'content-type: application/json' -d '${body}' ${pair.url(side)}/v1/chat/completions || true`
  }
  /** The row of somebody in a stick table. */
  const row = (side: Side, table: string, key: string): string | undefined =>
    pair[side]
      .told(`show table ${table}`)
      .split('\n')
      .find((line) => line.includes(` key=${key} `))
  const counted = (side: Side, name: string): number =>
    Number(/ gpc0=(\d+)/.exec(row(side, 'people', name) ?? '')?.[1] ?? 0)

  test('who has used half of a minute at one is refused at the other after the second half', async () => {
    expect([1, 2, 3].map(() => asked('a', keys.ann))).toEqual(['200', '200', '200'])
    await eventually('the other knows it', () => counted('b', 'ann') === 3)
    expect([1, 2, 3, 4].map(() => asked('b', keys.ann))).toEqual(['200', '200', '200', '429'])
    await eventually('the first knows it', () => counted('a', 'ann') === 6)
    expect(asked('a', keys.ann)).toBe('429')
  })

  test('an address that one has banned is banned at the other', async () => {
    const wrong = `for n in $(seq 1 45); do curl -s -o /dev/null -w '%{http_code} ' -H 'authorization: Bearer rop_'$n ${pair.url('a')}/v1/models; done`
    expect(pair.client('sh', '-c', wrong).trim().split(' ').at(-1)).toBe('429')
    await eventually('the other knows it', () =>
      / gpt0=1 /.test(row('b', 'strangers', pair.at.client) ?? row('b', 'strangers', `::ffff:${pair.at.client}`) ?? ''),
    )
    const once = `curl -s -o /dev/null -w '%{http_code}' -H 'authorization: Bearer rop_wrong' ${pair.url('b')}/v1/models`
    expect(pair.client('sh', '-c', once)).toBe('429')
  })

  test('the running gateway says which certificate it shows', async () => {
    for (const side of sides)
      expect(await serialInWorker(look(side), pairFile(look(side)))).toBe((await heldPair(look(side)))?.serial)
  })

  test('a reload of one keeps what both know', async () => {
    expect([1, 2].map(() => asked('a', keys.bob))).toEqual(['200', '200'])
    await eventually('the other knows it', () => counted('b', 'bob') === 2)
    await eventually('it hands on what it has', () => settled('a'))
    await pair.a.reload()
    await eventually('the new worker knows it', () => counted('a', 'bob') === 2)
    await eventually('each is connected to the other again', together)
    expect(counted('b', 'bob')).toBe(2)
    expect([1, 2, 3, 4].map(() => asked('a', keys.bob))).toEqual(['200', '200', '200', '200'])
    await eventually('the other knows it', () => counted('b', 'bob') === 6)
    expect(asked('b', keys.bob)).toBe('429')
  })

  test('a stranger gets nothing from the port where the two meet, and nobody reads their key', async () => {
    const hello = `printf 'HAProxyS 2.1\\n${peerName(pair.at.a)}\\n${peerName(pair.at.b)} 1 1\\n'`
    const tls = `timeout 5 openssl s_client -connect ${bracketed(pair.at.a)}:11438 -quiet`
    const cert = '/tmp/stranger-$$'
    const own = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${cert}.key -out ${cert}.pem -days 1 -subj '/CN=remote-ollama-proxy pair' 2>/dev/null`
    const got = (line: string) => pair.client('sh', '-c', `(${line}) 2>/dev/null || true`)
    expect(got(`(${hello}; sleep 1) | timeout 3 curl -s -m 2 telnet://${bracketed(pair.at.a)}:11438`)).not.toMatch(
      /\d{3}/,
    )
    expect(got(`(${hello}; sleep 1) | ${tls}`)).toBe('')
    expect(got(`${own}; (${hello}; sleep 1) | ${tls} -cert ${cert}.pem -key ${cert}.key; rm ${cert}.*`)).toBe('')
    // The same words with the certificate of the pair are answered, so that silence means something above.
    const file = pairFile(look('b'))
    expect(got(`(${hello}; sleep 1) | ${tls} -cert ${file} -key ${file}`)).toMatch(/^\d{3}\n/)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    await eventually('each is connected to the other again', together)
    for (const side of sides)
      expect(pair[side].inside('cat', '/proc/net/tcp', '/proc/net/tcp6').match(/ 0{8}(0{24})?:2CAE /)).toBeNull()
  })

  test('at once are added up where HAProxy can do that, and halved where it cannot', async () => {
    const running = (side: Side, table: string) =>
      Number(/ conn_cur=(\d+)/.exec(row(side, table, 'dan') ?? '')?.[1] ?? 0)
    const runningAt = (whose: Side) => `people-at-once:${pair.at[whose]}`
    expect(rowOf(pair.a.told('show stat'), 'inference', 'node')?.slim).toBe('8')
    if (!suite) {
      hold('a', keys.dan, 2)
      await eventually('two run at one', () => running('a', 'people') === 2)
      expect([asked('a', keys.dan), asked('b', keys.dan)]).toEqual(['429', '200'])
      return
    }
    hold('a', keys.dan, 3)
    await eventually('the other knows of three', () => running('b', runningAt('a')) === 3)
    hold('b', keys.dan, 1)
    await eventually('the first knows of one', () => running('a', runningAt('b')) === 1)
    expect([asked('a', keys.dan), asked('b', keys.dan)]).toEqual(['429', '429'])
    // What an earlier worker still answers is followed by nobody.
    await pair.a.reload()
    await eventually('only the other’s own one counts there', () => asked('b', keys.dan) === '200')
    hold('a', keys.dan, 3)
    await eventually('it knows of three of the new worker', () => asked('b', keys.dan) === '429')
    pair.a.kill()
    await eventually('what ran at one that is dead counts no more', () => asked('b', keys.dan) === '200')
    await pair.a.startHaproxy()
    await eventually('each is connected to the other again', together)
  })

  test('one that is down leaves the other as it was, and is told again what it missed', async () => {
    pair.b.kill()
    await eventually('the other sees it', async () => !(await connected('a')))
    expect([1, 2, 3].map(() => asked('a', keys.eve))).toEqual(['200', '200', '200'])
    await pair.b.startHaproxy()
    await eventually('each is connected to the other again', together)
    await eventually('it knows what was counted meanwhile', () => counted('b', 'eve') === 3)
  })
})
