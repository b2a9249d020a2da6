import { addRunning } from '../../../lib/haproxy/runtime.ts'
import { ruleLines } from '../../../lib/people/identities.ts'
import { generateKey, hashKey } from '../../../lib/people/key.ts'
import { adminRows, target } from '../../../lib/site/endpoints.ts'
import type { Entry, Registry } from '../../../lib/site/limits.ts'
import { type Exchange, exchange, request } from '../../lab/raw.ts'
import { must, type Patient, refusal } from './asking.ts'
import type { Expectation } from './quick.ts'

const secrets = { bob: generateKey(), old: generateKey(), admin: generateKey() }
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  created: '2026-01-01T00:00:00.000Z',
  hashes: [{ sha256: hashKey(key) }],
  ...more,
})

export const registry: Registry = {
  version: 1,
  keys: {
    bob: entry(secrets.bob),
    old: entry(secrets.old, { expires: '2026-01-02T00:00:00.000Z' }),
    admin: entry(secrets.admin, { admin: true }),
  },
}
export const people = 'people: { ann@example.com: { groups: [anthropic, native] } }'

const at = { ann: '127.0.0.70', stale: '127.0.0.71', nobody: '127.0.0.72', ahead: '127.0.0.73' }

/** What a refresh would have left: one whom it confirmed, one whom it did not for too long, and one from before the clock was set back. */
async function known({ gateway }: Patient): Promise<void> {
  const record = ruleLines(gateway.gateway.settings).get('ann@example.com') ?? ''
  const until = (seconds: number) => record.replace('|0|', `|${Math.floor(Date.now() / 1000) + seconds}|`)
  const lines = new Map([
    [at.ann, until(300)],
    [at.stale, until(-1)],
    [at.ahead, until(3600)],
  ])
  await addRunning(gateway.machine, 'keys/people.map', lines)
}

function ask({ gateway }: Patient, from: string, line: string, key?: string, withinMs = 2_000): Promise<Exchange> {
  const own = key === undefined ? [] : [`Authorization: Bearer ${key}`]
  const head = [`Host: ${gateway.host}`, ...own]
  return exchange(
    { ...gateway, from },
    request(`${line} HTTP/1.1`, head, /^(GET|HEAD)/.test(line) ? undefined : '{}'),
    1,
    withinMs,
  )
}

const messages = 'POST /v1/messages'
const native = 'POST /api/chat'

async function letsIn(patient: Patient): Promise<void> {
  await known(patient)
  for (const line of [messages, native]) {
    const answer = await ask(patient, at.ann, line)
    must(answer.status === 200, `${line}: ${answer.status} ${answer.body.slice(0, 120)}`)
  }
  refusal(await ask(patient, at.ann, 'GET /v1/models'), 403, 'ann@example.com may not use the group openai')
  must((await ask(patient, at.ann, 'GET /v1/models', secrets.bob)).status === 200, 'a key has its own rights')
}

async function isConfirmed(patient: Patient): Promise<void> {
  const reason = 'older than 5 minutes'
  for (const from of [at.stale, at.ahead]) refusal(await ask(patient, from, messages), 401, reason)
  refusal(await ask(patient, at.stale, native), 403, reason, 'api')
  must((await ask(patient, at.stale, 'GET /api/tags')).status === 200, 'what needs no key')
  must((await ask(patient, at.stale, messages, secrets.bob)).status === 200, 'a key beside it')
}

async function isNobodyElse(patient: Patient): Promise<void> {
  refusal(await ask(patient, at.nobody, messages), 401, 'an API key is needed')
  refusal(await ask(patient, at.nobody, native), 403, 'an API key is needed', 'api')
  refusal(await ask(patient, at.ann, messages, 'rop_wrong'), 401, 'is not known here')
  for (const from of [at.ann, at.nobody]) refusal(await ask(patient, from, messages, secrets.old), 401, 'has expired')
}

const digest = `sha256:${'0a'.repeat(32)}`
const lines = adminRows().map((row) => `${row.method} ${target(row)}`.replace(/sha256:.*/, digest))

async function managesByKey(patient: Patient): Promise<void> {
  const asks = (line: string, key?: string) => ask(patient, at.ann, line, key)
  for (const line of lines) {
    must((await asks(line, secrets.admin)).status === 200, line)
    for (const key of [secrets.bob, undefined]) {
      const answer = await asks(line, key)
      if (line.startsWith('HEAD')) must(answer.status === 403, `${line} by others`)
      else refusal(answer, 403, '(group: manage, only for a key made with --admin)', 'api')
    }
  }
  for (const line of [`DELETE /api/blobs/${digest}`, 'POST /nothing', 'POST /api/me', `POST /api/blobs/${digest}0`])
    must((await asks(line, secrets.admin)).status === 403, `${line} by an admin`)
  const got = patient.engine.received.at(-1)
  must(
    got !== undefined && JSON.stringify(got.head).includes(digest) && !/rop_/.test(JSON.stringify(got.head)),
    'the key went on',
  )
  must(
    patient.gateway.log().some((line) => /"who":"admin".*"group":"manage"/.test(line)),
    'the log has no group',
  )
  const late = await ask(patient, at.ann, 'POST /api/create?e=late', secrets.admin, 5_000)
  must(late.status === 200, `what takes its time is cut: ${late.status}`)
}

/** What a gateway does that asks the tailnet where there is no key, and has a key for changing models. */
export const named: Expectation[] = [
  ['a rule of people lets in', letsIn],
  ['an identity is confirmed', isConfirmed],
  ['an identity is nobody else’s', isNobodyElse],
  ['models are changed by an admin key alone', managesByKey],
]
