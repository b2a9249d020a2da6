import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Judge, startJudge } from '../attacks/differential/judge.ts'
import { bytes, holes, readVectors } from '../attacks/differential/vectors.ts'
import { weakened } from '../attacks/differential/weakened.ts'

const vectors = readVectors()

describe('recorded bodies and what Go decoded of them', () => {
  let judge: Judge
  beforeAll(async () => {
    judge = await startJudge()
  })
  afterAll(() => judge?.stop())

  test('none passes whose decoded model is not the judged one, or not allowed', async () => {
    expect(vectors.length).toBeGreaterThan(250)
    expect(await holes(judge, vectors)).toEqual([])
  })

  test('the harmless ones pass, as when they were recorded', async () => {
    const passing: string[] = []
    for (const { body } of vectors) if ((await judge.ask(bytes(body))).passed) passing.push(body)
    expect(passing).toEqual(vectors.filter(({ passes }) => passes).map(({ body }) => body))
    expect(passing.length).toBeGreaterThan(120)
  })
})

describe('a pattern that forgets one thing is noticed', () => {
  test.each(Object.entries(weakened))('%s', async (_what, pattern) => {
    const judge = await startJudge(pattern)
    const found = await holes(judge, vectors).finally(() => judge.stop())
    expect(found.filter(({ passed }) => passed).length).toBeGreaterThan(0)
  })
})
