import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type Examples, limitExamples, settingExamples } from './examples.ts'
import { limits } from './limits.ts'
import { fields, parseSettings } from './settings.ts'

type Node = z.core.$ZodType

/** What a wrapper such as a default or a refinement is made of. */
function bare(node: Node): Node {
  const { innerType, in: source } = node._zod.def as { innerType?: Node; in?: Node }
  const inner = innerType ?? source
  return inner ? bare(inner) : node
}

/** Every setting below a node, by its path; `*` stands for any name that an owner gives. */
function paths(node: Node, path: string[] = []): string[] {
  const inner = bare(node)
  if (inner instanceof z.ZodObject)
    return Object.entries(inner.shape).flatMap(([name, one]) => paths(one as Node, [...path, name]))
  if (inner instanceof z.ZodRecord) return [path.join('.'), ...paths(inner.valueType as Node, [...path, '*'])]
  return [path.join('.')]
}

/** What stands at a path below a value. */
function below(value: unknown, [word, ...more]: string[]): unknown[] {
  if (word === undefined) return [value]
  const inner = Object.entries((value ?? {}) as Record<string, unknown>)
  return inner.filter(([name]) => word === '*' || name === word).flatMap(([, one]) => below(one, more))
}

const onLan = { lan: { addresses: ['192.168.78.1'], sources: ['192.168.78.0/24'] } }

/** What can only be said in one way. */
const onlyOne = ['listen', 'listeners.lan.access', 'listeners.public.access']

/** The settings that have fewer than two values to try. Of what can only be said in one way, one is enough. */
function few(examples: Examples, schema = fields as Node): string[] {
  return paths(schema).filter((path) => {
    const own = Object.keys(examples).find((name) => path === name || path.startsWith(`${name}.`))
    const rest = own === path ? [] : path.slice((own ?? '').length + 1).split('.')
    const values = own ? (examples[own] ?? []).flatMap((value) => below(value, rest)) : []
    return new Set(values.map((value) => JSON.stringify(value))).size < (onlyOne.includes(path) ? 1 : 2)
  })
}

test('every setting has two values at least to try, and so has every limit of a rule, a group and a row', () => {
  expect(paths(fields).length).toBeGreaterThan(60)
  expect(few(settingExamples)).toEqual([])
  const known = (path: string) => paths(fields).some((one) => one === path || one.startsWith(`${path}.`))
  expect(Object.keys(settingExamples).filter((path) => !known(path))).toEqual([])
})

test('so has every limit of a key; admin is there or not', () => {
  expect(Object.keys(limitExamples).sort()).toEqual(Object.keys(limits.shape).sort())
  for (const [name, values] of Object.entries(limitExamples))
    expect(new Set(values).size, name).toBeGreaterThanOrEqual(name === 'admin' ? 1 : 2)
})

test('a setting without a second value, and a new one, are found', () => {
  const { log, ...others } = settingExamples
  expect(log?.length).toBe(3)
  expect(few(others)).toEqual(['log'])
  expect(few({ ...settingExamples, 'queue.wait': ['90s'] })).toEqual(['queue.wait'])
  expect(few({ ...settingExamples, listeners: [] })).toContain('listeners.lan.certificates')
  expect(few(settingExamples, fields.extend({ queue: z.object({ least: z.int() }) }))).toEqual(['queue.least'])
  const people = [{ 'tag:ci': { burst: 1 } }, { 'tag:ci': { burst: 2 } }]
  expect(few({ ...settingExamples, people })).toContain('people.*.concurrent')
})

test('each value alone is one that the settings take', () => {
  for (const [path, values] of Object.entries(settingExamples))
    for (const value of values) {
      const nested = path.split('.').reduceRight<unknown>((inner, word) => ({ [word]: inner }), value)
      const key = JSON.stringify(value).includes('metrics') ? 'access: keys\n' : ''
      const tls =
        path === 'listeners' || path === 'services' ? "tls: { ai.example.net: own-ca, '*.example.net': own-ca }\n" : ''
      const lan =
        JSON.stringify(value).includes('"lan"') && path === 'services' ? `listeners: ${JSON.stringify(onLan)}\n` : ''
      expect(() => parseSettings(key + tls + lan + stringify(nested), path), path).not.toThrow()
    }
})
