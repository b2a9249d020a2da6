import { addRunning } from '../../../lib/haproxy/runtime.ts'
import { ruleLines } from '../../../lib/people/identities.ts'
import { generateKey, hashKey } from '../../../lib/people/key.ts'
import type { Registry } from '../../../lib/site/limits.ts'
import { ownAddress } from '../../lab/gateway.ts'
import { dial, exchange, request } from '../../lab/raw.ts'
import { must, type Patient } from './asking.ts'
import { certificates as all } from './listened.ts'
import type { Expectation } from './quick.ts'

const name = 'ai.example.net'
const secrets = { bob: generateKey(), narrow: generateKey(), old: generateKey() }
const entry = (key: string, more: object = {}) => ({
  ...{ created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(key) }] },
  ...more,
})
const [lan, inside] = [ownAddress(), ownAddress()]

export const certificates = { [`${name}.pem`]: all[`${name}.pem`] ?? '' }
export const registry: Registry = {
  version: 1,
  keys: {
    bob: entry(secrets.bob),
    narrow: entry(secrets.narrow, { groups: ['anthropic'] }),
    old: entry(secrets.old, { expires: '2026-01-02T00:00:00.000Z' }),
  },
}
/** The tailnet asks for no key; a LAN and machines inside do, and what needs none needs none inside alone. */
export const mixed = [
  `tls: { ${name}: own-ca }`,
  'keyless: [metadata, count-tokens]',
  'people: { ann@example.com: { groups: [anthropic] } }',
  'listeners:',
  `  lan: { addresses: [${lan}], sources: [192.168.78.0/24] }`,
  `  inside: { addresses: [${inside}], from: [10.9.8.7], port: 12000 }`,
].join('\n')

type At = 'tailnet' | 'lan' | 'inside'

interface How {
  at?: At
  from?: string
  headers?: string[]
}

const bearer = (key: string) => `Authorization: Bearer ${key}`
const other = (key: string) => `x-api-key: ${key}`
const password = (key: string) => `Authorization: Basic ${Buffer.from(`x:${key}`).toString('base64')}`

function where({ gateway }: Patient, at: At) {
  const port = at === 'inside' ? 12_000 : gateway.port
  const address = { tailnet: gateway.address, lan, inside }[at]
  return { address, port, host: at === 'lan' ? name : `${address}:${port}` }
}

async function answers(patient: Patient, line: string, how: How, status: number, says = ''): Promise<void> {
  const { at = 'tailnet', from, headers = [] } = how
  const { host, ...to } = where(patient, at)
  const tls = at === 'lan' ? { tls: { servername: name } } : {}
  const body = line.startsWith('GET') ? undefined : '{}'
  const text = request(`${line} HTTP/1.1`, [`Host: ${host}`, ...headers], body)
  const got = await exchange({ ...to, from, ...tls }, text, 1, 5_000)
  must(
    got.status === status && got.body.includes(says),
    `${line} ${at} ${headers}: ${got.status} ${got.body.slice(0, 120)} instead of ${status} ${says}`,
  )
}

const models = 'GET /v1/models'
const page = 'GET /connect'
const { bob, narrow, old } = secrets
const made = 'made by the observer'

/** Whatever is sent as a key on the tailnet, everybody is the tailnet's, with the same rights. */
async function tailnetAsksNobody(patient: Patient): Promise<void> {
  for (const key of [bob, narrow, old, 'wrong', 'ollama'])
    for (const headers of [[bearer(key)], [other(key)], [bearer('ollama'), other(key)]])
      await answers(patient, models, { headers }, 200)
  for (const headers of [[], [password('wrong')], [password(old)], [bearer('wrong')]])
    await answers(patient, page, { headers }, 503, made)
  await answers(patient, `${page}?key`, {}, 503, made)
  for (const header of [bearer('wrong'), other('wrong')])
    await answers(patient, models, { headers: [header, header] }, 200)
  await answers(patient, 'POST /v1/messages', {}, 200)
  await answers(patient, 'POST /api/chat', { headers: [bearer('wrong')] }, 200)
}

/** A person's rule is the tailnet's, and nobody else comes from an address of it. */
async function peopleAreOfTheTailnet(patient: Patient): Promise<void> {
  const record = ruleLines(patient.gateway.gateway.settings).get('ann@example.com') ?? ''
  const from = '127.0.0.70'
  await addRunning(patient.gateway.machine, 'keys/people.map', new Map([[from, record]]))
  await answers(patient, models, { from }, 403, 'may not use the group openai')
  for (const at of ['lan', 'inside'] as const) {
    await answers(patient, models, { at, from }, 401, 'an API key is needed')
    await answers(patient, models, { at, from, headers: [bearer(bob)] }, 200)
  }
}

async function othersAreAsked(patient: Patient): Promise<void> {
  for (const at of ['lan', 'inside'] as const) {
    const ask = (line: string, status: number, says: string, ...headers: string[]) =>
      answers(patient, line, { at, headers }, status, says)
    for (const header of [bearer, other]) {
      await ask(models, 200, '', header(bob))
      await ask(models, 403, 'may not use the group openai', header(narrow))
      await ask(models, 401, 'is not known here', header('rop_wrong'))
      await ask(models, 401, 'has expired', header(old))
    }
    await ask(models, 401, 'an API key is needed')
    await ask(models, 400, 'more than once', bearer(bob), bearer(bob))
    await ask('POST /api/chat', 403, 'an API key is needed')
    await ask(page, 503, made, password(bob))
    await ask(page, 401, '', password('wrong'))
  }
}

/** What the settings spare a key is spared inside, and on a LAN it is not. */
async function lanSparesNothing(patient: Patient): Promise<void> {
  const spared: [line: string, inside: number, says: string, lan: number][] = [
    ['GET /api/tags', 200, '', 403],
    ['POST /v1/messages/count_tokens', 403, 'clients then estimate', 401],
    [page, 503, made, 401],
  ]
  for (const [line, status, says, strict] of spared) {
    await answers(patient, line, { at: 'inside' }, status, says)
    await answers(patient, line, { at: 'lan' }, strict)
  }
  await answers(patient, 'POST /v1/messages', { at: 'inside' }, 401, 'an API key is needed')
}

/** So many wrong keys over one connection. */
async function guesses(patient: Patient, at: At, from: string, count: number): Promise<void> {
  const { host, ...to } = where(patient, at)
  const client = await dial({ ...to, from, ...(at === 'lan' ? { tls: { servername: name } } : {}) })
  for (let tries = 1; tries <= count; tries += 1) {
    client.send(request(`${models} HTTP/1.1`, [`Host: ${host}`, bearer('rop_wrong')]))
    await client.settled(tries)
  }
  client.hangUp()
}

/** Any word is a key on the tailnet, so none is a guess there; a ban for guesses elsewhere is none on the tailnet. */
async function guessesCountWhereKeysDo(patient: Patient): Promise<void> {
  const [tailnet, banned] = ['127.0.0.20', '127.0.0.21']
  const headers = [bearer('rop_wrong')]
  await guesses(patient, 'tailnet', tailnet, 80)
  await answers(patient, models, { at: 'inside', from: tailnet, headers }, 401, 'is not known here')
  await guesses(patient, 'inside', banned, 80)
  await answers(patient, models, { at: 'lan', from: banned, headers }, 429, 'wrong API keys')
  await answers(patient, models, { from: banned, headers }, 200)
}

/** What a gateway does that asks some for a key and others not. */
export const mixing: Expectation[] = [
  ['the tailnet asks nobody', tailnetAsksNobody],
  ['others are asked', othersAreAsked],
  ['what is spared is spared inside alone', lanSparesNothing],
  ['people are of the tailnet', peopleAreOfTheTailnet],
  ['guesses count where keys do', guessesCountWhereKeysDo],
]
