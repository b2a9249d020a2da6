import { describe, expect, test } from 'vitest'
import { type Counted, counted } from './counting.ts'

const person: Counted = { key: 'var(txn.who)', table: 'people', counter: 1, called: 'x', suffix: '' }
const everybody: Counted = { key: 'str(all)', table: 'together', counter: 3, called: 'all', suffix: '_all' }

/** What HAProxy keeps of somebody. */
interface Row {
  gpt: bigint[]
  gpc: bigint[]
}
type Rows = Record<string, Row>
type Variables = Record<string, bigint>
type Value = bigint | undefined

const fresh = (): Rows => ({
  1: { gpt: [0n, 0n, 0n, 0n], gpc: [0n, 0n, 0n] },
  3: { gpt: [0n, 0n, 0n, 0n], gpc: [0n, 0n, 0n] },
})
const wordsOf = (text: string): [string, string[]] => {
  const [, name = '', inner = ''] = /^([\w-]+)(?:\((.*)\))?$/.exec(text) ?? []
  return [name, inner.split(',')]
}

/** HAProxy's rules as far as these lines use them: 64 bits in an expression, 32 in a row; what fails has no value. */
function haproxy(lines: string[], rows: Rows, limits: Variables, now: number) {
  const variables: Variables = { ...limits }
  const given = (text: string): Value => (/^\d+$/.test(text) ? BigInt(text) : variables[text])
  const fetched: Record<string, (words: string[]) => Value> = {
    date: () => BigInt(now),
    var: ([name = '']) => variables[name],
    sc_get_gpt: ([at, counter = '']) => rows[counter]?.gpt[Number(at)],
    sc_get_gpc: ([at, counter = '']) => rows[counter]?.gpc[Number(at)],
    sc_inc_gpc: ([at, counter = '']) => {
      const gpc = rows[counter]?.gpc ?? []
      gpc[Number(at)] = (gpc[Number(at)] ?? 0n) + 1n
      return gpc[Number(at)]
    },
  }
  const converted: Record<string, (value: bigint, other: bigint) => bigint> = {
    neg: (value) => -value,
    add: (value, other) => value + other,
    sub: (value, other) => value - other,
    div: (value, other) => value / other,
    and: (value, other) => BigInt.asIntN(64, value & other),
  }
  function value(expression: string): Value {
    const [fetch = '', ...rest] = expression.split(/,(?![^(]*\))/)
    const [name, words] = wordsOf(fetch)
    if (!fetched[name]) throw new Error(`unknown: ${fetch}`)
    let is = fetched[name](words)
    for (const text of rest) {
      const [converter, [word = '']] = wordsOf(text)
      const other = converter === 'neg' ? 0n : given(word)
      if (!converted[converter]) throw new Error(`unknown: ${text}`)
      is = is === undefined || other === undefined ? undefined : converted[converter](is, other)
    }
    return is
  }
  function holds(term: string): boolean {
    const [, not, expression = '', , word, than = '0'] =
      /^(!?)\{ (\S+) (-m (?:int|found) ?)?(\w*) ?(\d*) \}$/.exec(term) ?? []
    const is = value(expression)
    const compared = {
      gt: (a: bigint, b: bigint) => a > b,
      ge: (a: bigint, b: bigint) => a >= b,
      lt: (a: bigint, b: bigint) => a < b,
    }
    const test = compared[word as keyof typeof compared]
    const found = is !== undefined && (test ? test(is, BigInt(than)) : true)
    return found !== (not === '!')
  }
  const run = (kind: string, status?: number): bigint | undefined => {
    for (const line of lines.filter((one) => one.startsWith(`${kind} `))) {
      const [rule = '', condition = ''] = line.split(/ if (?=!?\{)/)
      const terms = (condition.match(/!?\{ [^}]+ \}/g) ?? []).filter((term) => term !== `{ status ${status} }`)
      if (terms.includes(`!{ status ${status} }`) || !terms.every(holds)) continue
      if (/ deny /.test(rule)) return value(/hdr retry-after %\[(.*?)\] lf-string/.exec(rule)?.[1] ?? '')
      const [, variable = '', set = ''] = / set-var\((\S+)\) (\S+)$/.exec(rule) ?? []
      const [, at, counter = '', put = ''] = / sc-set-gpt\((\d),(\d)\) (\S+)$/.exec(rule) ?? []
      const [, more, whose = ''] = / sc-inc-gpc\((\d),(\d)\)$/.exec(rule) ?? []
      const result = variable || put ? value(variable ? set : put) : undefined
      if (variable && result !== undefined) variables[variable] = result
      else if (put && result !== undefined) (rows[counter] as Row).gpt[Number(at)] = BigInt.asUintN(32, result)
      else if (whose) fetched.sc_inc_gpc?.([more ?? '', whose])
      else if (!variable && !put) throw new Error(`unknown: ${rule}`)
    }
    return undefined
  }
  const wait = run('http-request')
  return { wait: wait === undefined ? undefined : Number(wait), giveBack: () => run('http-after-response', 503) }
}

/** The same numbers at each run. */
function dice(seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * most)
  }
}

const lines = counted([person, everybody])
const begin = Date.UTC(2026, 10, 29)
const limit = (minute = 0, burst = 0, all = 0): Variables => ({
  ...{ 'txn.minute': BigInt(minute), 'txn.burst': BigInt(burst) },
  ...{ 'txn.minute_all': BigInt(all), 'txn.burst_all': 0n },
})
const copy = (rows: Rows): Rows => structuredClone(rows)

describe('a limit of requests', () => {
  test('used up at once is over when its minute is: three a minute are told 60 s, and pass then', () => {
    const rows = fresh()
    const at = (second: number) => haproxy(lines, rows, limit(3), begin + second * 1000).wait
    expect([at(0), at(0.1), at(0.2), at(0.3), at(59.5), at(60), at(60), at(60), at(61)]).toEqual([
      undefined,
      undefined,
      undefined,
      60,
      1,
      undefined,
      undefined,
      undefined,
      59,
    ])
  })

  test('of two that are used up the longer wait counts, since the next request would not pass before', () => {
    const rows = fresh()
    const at = (second: number) => haproxy(lines, rows, limit(2, 1), begin + second * 1000).wait
    expect([at(0), at(1), at(55), at(56), at(60), at(65)]).toEqual([undefined, 9, undefined, 9, 5, undefined])
  })

  test.each([
    ['now', begin],
    ['where the low 32 bits of the time begin anew', 2 ** 32 * 419 - 60_000],
  ])('whoever waits as told passes, and nobody who waits a second less (%s)', (_, start) => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const roll = dice(seed)
      const limits = limit(roll(3) && 1 + roll(12), roll(3) && 1 + roll(5), roll(3) && 1 + roll(20))
      const rows = fresh()
      let now = start + roll(60_000)
      for (let step = 0; step < 80; step += 1) {
        now += roll(4) === 0 ? roll(70_000) : roll(900)
        const before = copy(rows)
        const one = haproxy(lines, rows, limits, now)
        if (one.wait === undefined) {
          if (roll(10) === 0) one.giveBack()
          continue
        }
        const told = `seed ${seed}, step ${step}, ${one.wait} s`
        expect(rows, `what is refused costs nothing: ${told}`).toEqual(before)
        expect(haproxy(lines, copy(rows), limits, now + one.wait * 1000).wait, told).toBeUndefined()
        expect(haproxy(lines, copy(rows), limits, now + (one.wait - 1) * 1000).wait, told).toBeDefined()
      }
    }
  })

  test('lets no more pass from the first on until its time is over, and then as many again', () => {
    const rows = fresh()
    const passed = (from: number, to: number) => {
      let count = 0
      for (let now = from; now < to; now += 100)
        if (haproxy(lines, rows, limit(7), begin + now).wait === undefined) count += 1
      return count
    }
    expect([passed(0, 60_000), passed(60_000, 120_000)]).toEqual([7, 7])
  })

  test('gives back what no slot came free for, also of the span before, but nothing of one that is over', () => {
    const rows = fresh()
    const ask = (second: number) => haproxy(lines, rows, limit(2), begin + second * 1000)
    const [first, second] = [ask(0), ask(1)]
    expect(ask(2).wait).toBe(58)
    second.giveBack()
    expect([ask(3).wait, ask(4).wait]).toEqual([undefined, 56])
    expect(ask(60).wait).toBeUndefined()
    first.giveBack()
    expect([ask(61).wait, ask(62).wait]).toEqual([undefined, 58])
  })

  test('holds anew when the clock was set back', () => {
    const rows = fresh()
    const ask = (second: number) => haproxy(lines, rows, limit(1), begin + second * 1000).wait
    expect([ask(3600), ask(3601), ask(0), ask(1)]).toEqual([undefined, 59, undefined, 59])
  })
})
