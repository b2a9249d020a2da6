import { describe, expect, test } from 'vitest'
import {
  adminRows,
  closedRows,
  endpoints,
  endpointTable,
  expandGroups,
  type Group,
  gatewayRows,
  groups,
  modelPath,
  openable,
  openRows,
  otherMethods,
  presets,
  target,
} from './endpoints.ts'

/** What Ollama 0.24.0 says at its start, one [GIN-debug] line a route: 36 rows. */
const ollama024 = `
HEAD /
GET /
HEAD /api/version
GET /api/version
GET /api/status
POST /api/pull
POST /api/push
HEAD /api/tags
GET /api/tags
POST /api/show
DELETE /api/delete
POST /api/me
POST /api/signout
DELETE /api/user/keys/{digest}
POST /api/create
POST /api/blobs/{digest}
HEAD /api/blobs/{digest}
POST /api/copy
GET /api/experimental/model-recommendations
POST /api/experimental/web_search
POST /api/experimental/web_fetch
GET /api/ps
POST /api/generate
POST /api/chat
POST /api/embed
POST /api/embeddings
POST /v1/chat/completions
POST /v1/completions
POST /v1/embeddings
GET /v1/models
GET /v1/models/{model}
POST /v1/responses
POST /v1/images/generations
POST /v1/images/edits
POST /v1/audio/transcriptions
POST /v1/messages`
  .trim()
  .split('\n')

const agents = expandGroups(['agents'])
const called = (row: { method: string; path: string }): string => `${row.method} ${row.path}`

describe('the table of endpoints', () => {
  test('knows every route of Ollama 0.24.0, so that none is let through or refused by accident', () => {
    expect(ollama024).toHaveLength(36)
    const known = endpoints.map(called)
    expect(ollama024.filter((route) => !known.includes(route))).toEqual([])
  })

  test('has further rows only where Ollama has no such route of its own', () => {
    const further = endpoints.map(called).filter((row) => !ollama024.includes(row))
    expect(further).toEqual([
      'HEAD /api/hello',
      'GET /healthz',
      'HEAD /healthz',
      'POST /v1/messages/count_tokens',
      'GET /metrics',
      'GET /connect',
      'HEAD /connect',
    ])
  })

  test('has each row once, with a known group and a backend exactly where somebody else answers', () => {
    expect(new Set(endpoints.map(called)).size).toBe(endpoints.length)
    for (const row of endpoints) {
      expect(Object.keys(groups)).toContain(row.group)
      expect(row.backend !== undefined).toBe(row.answer === 'forward' || row.group === 'connect')
      if (!openable(row.group)) expect(row.answer).toBe('refuse')
    }
  })

  test('opens by default what agents need, and nothing that changes the machine or runs native options', () => {
    expect(openRows(agents).map(called)).toEqual([
      'POST /v1/chat/completions',
      'GET /v1/models',
      'GET /v1/models/{model}',
      'POST /v1/responses',
      'POST /v1/messages',
      'GET /api/version',
      'HEAD /api/version',
      'GET /api/tags',
      'HEAD /api/tags',
      'POST /api/show',
    ])
    expect(gatewayRows(agents).map(called)).toEqual([
      'GET /',
      'HEAD /',
      'HEAD /api/hello',
      'GET /healthz',
      'HEAD /healthz',
      'GET /connect',
      'HEAD /connect',
    ])
  })

  test('no preset and no combination of groups opens a row that is never opened', () => {
    for (const names of [...Object.keys(presets).map((name) => [name]), Object.keys(groups)]) {
      const open = expandGroups(names)
      expect(openRows(open).filter((row) => !openable(row.group))).toEqual([])
      expect(openRows(open).length + gatewayRows(open).length + closedRows(open).length).toBe(endpoints.length)
    }
  })

  test('an admin key may change models, and nothing else beside the open rows', () => {
    expect(adminRows().map(called)).toEqual([
      'POST /api/pull',
      'POST /api/push',
      'POST /api/create',
      'POST /api/copy',
      'DELETE /api/delete',
      'HEAD /api/blobs/{digest}',
      'POST /api/blobs/{digest}',
    ])
  })

  test('lists the groups of names once, in its own order', () => {
    expect(expandGroups(['embeddings', 'agents', 'openai'])).toEqual([
      ...(presets.agents ?? []).filter((group) => group !== 'connect'),
      ...(['embeddings', 'connect'] as const),
    ])
  })

  test('lets lists past the queue and sends generations through it', () => {
    const all = openRows(Object.keys(groups) as Group[])
    for (const row of all.filter(({ group }) => group !== 'metrics'))
      expect(row.backend).toBe(row.method === 'POST' && row.path !== '/api/show' ? 'inference' : 'metadata')
  })
})

describe('targets', () => {
  test('a model’s name is written so that it is one segment', () => {
    const row = endpoints.find(({ path }) => path === '/v1/models/{model}')
    expect(row && target(row, 'hf.co/u/m:q4')).toBe('/v1/models/hf.co%2Fu%2Fm:q4')
    expect(
      target({ method: 'HEAD', path: '/api/blobs/{digest}', group: 'manage', family: 'api', answer: 'refuse' }),
    ).toMatch(/sha256:0{63}g$/)
  })

  test.each([
    'a',
    'a:b',
    'hf.co/u/m',
    'u%2Fm',
    'u%2fm',
    'qwen3:0.6b',
    '_x-y.z',
    'qwen3%3A0.6b',
    'qwen3%3a0%2E6b',
    '%41',
    '%5fx%2dy',
    'a%7A',
  ])('%s is a model’s name in a path', (name) => {
    expect(`/v1/models/${name}`).toMatch(new RegExp(modelPath))
  })

  test.each([
    '',
    '.',
    '..',
    '.a',
    'a/',
    'a//b',
    'a/..',
    '%2e',
    'a%3Fx',
    'a%00',
    'a%252Fb',
    'a b',
    'a?b',
    'a..b',
    'a%2E%2Eb',
    'a%2e.b',
    'a%2F%2E%2Eb',
    'a%40b',
    'a%5B',
    'a%60',
    'a%7B',
    'a%20',
    'a%',
    'a%4',
    'a\n',
    'é',
  ])('%j is none', (name) => {
    expect(`/v1/models/${name}`).not.toMatch(new RegExp(modelPath))
  })

  test('other methods on open paths are named as refusals, and none of them is a row', () => {
    const others = otherMethods(agents)
    const open = [...openRows(agents), ...gatewayRows(agents)].map(called)
    expect(others.length).toBeGreaterThan(50)
    expect(others.map(called).filter((row) => open.includes(row))).toEqual([])
    expect(others).toContainEqual({ method: 'DELETE', path: '/v1/models/{model}' })
  })
})

test('the table for people has a line for each group and every row in it', () => {
  const lines = endpointTable().split('\n')
  expect(lines).toHaveLength(Object.keys(groups).length + 2)
  for (const row of endpoints) expect(endpointTable()).toContain(`\`${called(row)}\``)
  expect(lines.find((line) => line.startsWith('| `manage`'))).toContain('| only by a key made with `--admin` |')
  expect(lines.find((line) => line.startsWith('| `account`'))).toContain('| never |')
})
