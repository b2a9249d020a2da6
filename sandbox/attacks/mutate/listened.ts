import type { ConnectionOptions } from 'node:tls'
import { addRunning } from '../../../lib/haproxy/runtime.ts'
import { ruleLines } from '../../../lib/people/identities.ts'
import { generateKey, hashKey } from '../../../lib/people/key.ts'
import type { Configuration } from '../../../lib/site/configuration.ts'
import type { Registry } from '../../../lib/site/limits.ts'
import { authority, fingerprintOf, pem } from '../../lab/certificates.ts'
import { ownAddress } from '../../lab/gateway.ts'
import { dial, type Exchange, exchange, request } from '../../lab/raw.ts'
import { must, type Patient } from './asking.ts'
import type { Expectation } from './quick.ts'

const [name, other, ordered] = ['ai.example.net', 'other.example.net', 'ordered.example.net']
const ca = authority('a test')
const ann = ca.client('ann')
export const secrets = { bob: generateKey(), old: generateKey(), narrow: generateKey() }
const created = '2026-01-01T00:00:00.000Z'
const [lan, open] = [ownAddress(), ownAddress()]
const [tlsPort, challengePort] = [21_443, 21_480]

export const certificates: Record<string, string> = {
  ...Object.fromEntries([name, other, ordered].map((one) => [`${one}.pem`, pem(ca.server(one))])),
  'clients.pem': ca.cert,
}
export const registry: Registry = {
  version: 1,
  keys: {
    bob: { created, hashes: [{ sha256: hashKey(secrets.bob) }] },
    narrow: { created, hashes: [{ sha256: hashKey(secrets.narrow) }], groups: ['anthropic'] },
    old: { created, hashes: [{ sha256: hashKey(secrets.old) }], expires: '2026-01-02T00:00:00.000Z' },
    ann: { created, hashes: [], certificates: [{ sha256: fingerprintOf(ann) }] },
  },
}
export const listening = [
  `tls: { ${name}: own-ca, ${other}: own-ca, ${ordered}: acme }`,
  'keyless: [metadata, count-tokens]',
  'limits: { per_minute: 50 }',
  'people: { ann@example.com: { groups: [anthropic] } }',
  'listeners:',
  `  tailnet: { tls_port: ${tlsPort} }`,
  `  lan: { addresses: [${lan}], sources: [192.168.78.0/24], groups: [agents], certificates: required }`,
  `  public: { addresses: [${open}], certificates: optional }`,
].join('\n')

/** The first text of this form. */
const first = (text: string, form: RegExp): string => form.exec(text)?.[1] ?? ''

/** An authority asks a port that anybody may bind, at the address that no other gateway has, and the engine answers it in the place of lego. */
const asked = (text: string): string =>
  text
    .replace(`bind ${open}:80\n`, `bind ${first(text, /^ {4}bind ([\d.]+):\d+ .*name tailnet$/m)}:${challengePort}\n`)
    .replace(/server client .*/, `server client ${first(text, /^ {4}server engine (\S+)/m)}`)

/** Every source here is of this machine, which is let in everywhere; so each listener's own is made another part of it. */
export const narrowed = (made: Configuration): Configuration => ({
  ...made,
  text: asked(made.text),
  files: Object.fromEntries(
    Object.entries(made.files).map(([file, text]) => [
      file,
      file.endsWith('/sources-lan.lst')
        ? text.replace('127.0.0.0/8', '127.0.0.0/25')
        : file.endsWith('/sources-tailnet-tls.lst')
          ? text.replace('127.0.0.0/8', '127.0.0.0/26')
          : text,
    ]),
  ),
})

interface How {
  at?: 'tailnet' | 'https' | 'lan' | 'public'
  key?: string
  host?: string
  sni?: string
  from?: string
  options?: ConnectionOptions
}

/** One request, over a connection of its own. */
function ask({ gateway }: Patient, line: string, how: How = {}): Promise<Exchange> {
  const { at = 'tailnet', key, sni = name, from, options } = how
  const address = { tailnet: gateway.address, https: gateway.address, lan, public: open }[at]
  const host = how.host ?? (at === 'tailnet' ? gateway.host : name)
  const head = [`Host: ${host}`, ...(key === undefined ? [] : [`Authorization: Bearer ${key}`])]
  const where = { address, port: at === 'https' ? tlsPort : gateway.port, from }
  const body = /^(GET|HEAD)/.test(line) ? undefined : '{}'
  return exchange(
    at === 'tailnet' ? where : { ...where, tls: { servername: sni, ...options } },
    request(`${line} HTTP/1.1`, head, body),
    1,
    20_000,
  )
}

async function answers(patient: Patient, line: string, how: How, status: number, says = ''): Promise<void> {
  const got = await ask(patient, line, how)
  const wanted = got.status === status && got.body.includes(says)
  must(wanted, `${line} ${how.at ?? 'tailnet'}: ${got.status} ${got.body.slice(0, 120)} instead of ${status} ${says}`)
}

const models = 'GET /v1/models'
const { bob, old, narrow } = secrets

async function tailnetStays(patient: Patient): Promise<void> {
  for (const at of ['tailnet', 'https'] as const)
    for (const key of [undefined, 'wrong', old, bob]) await answers(patient, models, { at, key }, 200)
  await answers(patient, 'POST /v1/messages', {}, 200)
  await answers(patient, 'GET /', {}, 200)
}

async function asksForKeys(patient: Patient): Promise<void> {
  await answers(patient, models, { at: 'public', key: bob }, 200)
  await answers(patient, models, { at: 'public', key: 'wrong' }, 401, 'that is known here')
  await answers(patient, models, { at: 'public', key: old }, 401, 'that is known here')
  await answers(patient, '/api/version'.replace(/^/, 'GET '), { at: 'public' }, 403, 'that is known here')
  await answers(patient, 'GET /', { at: 'public' }, 401)
  await answers(patient, 'GET /healthz', { at: 'public' }, 401)
  await answers(patient, 'HEAD /api/hello', { at: 'public' }, 403)
  await answers(patient, 'POST /v1/messages/count_tokens', { at: 'public' }, 401)
  await answers(patient, 'GET /connect', { at: 'public' }, 401)
}

async function asksForCertificates(patient: Patient): Promise<void> {
  const known = { options: ann }
  await answers(patient, models, { at: 'lan', ...known }, 200)
  await answers(patient, models, { at: 'public', ...known, key: 'wrong' }, 200)
  await answers(patient, models, { at: 'lan', key: bob, options: ca.client('eve') }, 401, 'client certificate')
  await answers(patient, models, { at: 'lan', key: bob }, 0)
  await answers(patient, models, { at: 'public', options: authority('b').client('ann'), key: bob }, 0)
}

async function hasNames(patient: Patient): Promise<void> {
  const key = bob
  for (const sni of [other, ordered]) await answers(patient, models, { at: 'public', key, sni, host: sni }, 200)
  await answers(patient, models, { at: 'public', key, host: other }, 421, 'another name')
  await answers(patient, models, { at: 'public', key, host: `AI.example.net:${patient.gateway.port}` }, 200)
  await answers(patient, models, { at: 'public', key, sni: 'foreign.example' }, 0)
  for (const version of ['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const) {
    const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }
    await answers(patient, models, { at: 'public', key, options }, version === 'TLSv1.1' ? 0 : 200)
  }
  const client = await dial({
    address: open,
    port: patient.gateway.port,
    tls: { servername: name, ALPNProtocols: ['h2', 'http/1.1'] },
  })
  must((client.socket as { alpnProtocol?: unknown }).alpnProtocol === 'http/1.1', 'another protocol than HTTP/1.1')
  client.hangUp()
}

async function hasItsGroups(patient: Patient): Promise<void> {
  await answers(patient, 'POST /api/chat', {}, 200)
  await answers(patient, 'POST /api/chat', { at: 'lan', options: ann }, 403, 'at this address')
  await answers(patient, 'POST /api/chat', { at: 'public', key: bob }, 200)
}

async function knowsPeople(patient: Patient): Promise<void> {
  const record = ruleLines(patient.gateway.gateway.settings).get('ann@example.com') ?? ''
  await addRunning(patient.gateway.machine, 'keys/people.map', new Map([['127.0.0.70', record]]))
  await answers(patient, models, { from: '127.0.0.70' }, 403, 'may not use the group openai')
  await answers(patient, models, { at: 'public', from: '127.0.0.70', key: bob }, 200)
}

/** The tailnet's source is 127.0.0.0/24 here (suite.ts). */
async function hasItsSources(patient: Patient): Promise<void> {
  const known = { at: 'lan', options: ann } as const
  const own = patient.gateway.address
  for (const [from, tailnet, https, inLan] of [
    ['127.0.0.1', 200, 200, 200],
    ['127.0.0.100', 200, 0, 200],
    ['127.0.0.200', 200, 0, 0],
    ['127.0.1.5', 0, 0, 0],
    [own, 200, 200, 200],
  ] as const) {
    await answers(patient, models, { from }, tailnet)
    await answers(patient, models, { from, at: 'https' }, https)
    await answers(patient, models, { from, ...known }, inLan)
    await answers(patient, models, { from, at: 'public', key: bob }, 200)
  }
}

async function boundsTheTailnet({ gateway }: Patient): Promise<void> {
  const where = { address: gateway.address, port: gateway.port, from: '127.0.0.73' }
  const idle = await Promise.all(Array.from({ length: 80 }, () => dial(where)))
  await new Promise((resolve) => setTimeout(resolve, 100))
  const left = idle.filter((client) => client.end() === 'open').length
  for (const client of idle) client.hangUp()
  must(left <= 64, `${left} connections of one address are held`)
}

async function boundsThePublic(patient: Patient): Promise<void> {
  for (const bytes of ['', '1603010200']) {
    const client = await dial({ address: open, port: patient.gateway.port })
    client.send(Buffer.from(bytes, 'hex'))
    must((await client.ended(6_000)) !== 'open', 'an unfinished handshake stays')
  }
  const from = '127.0.0.71'
  const client = await dial({ address: open, port: patient.gateway.port, from, tls: { servername: name } })
  for (let tries = 0; tries < 62; tries += 1) {
    client.send(request(`${models} HTTP/1.1`, [`Host: ${name}`, `Authorization: Bearer ${old}`]))
    await client.settled(tries + 1)
  }
  client.hangUp()
  await answers(patient, models, { at: 'public', from, key: old }, 429)
  const statuses: number[] = []
  for (let tries = 0; tries < 15; tries += 1) {
    const ten = Array.from({ length: 10 }, () => ask(patient, models, { at: 'public', from: '127.0.0.72', key: bob }))
    statuses.push(...(await Promise.all(ten)).map(({ status }) => status))
  }
  must(
    statuses.slice(0, 60).every((status) => status === 200),
    'not even 60 connections are let in',
  )
  must(statuses.includes(0), '150 connections at once are let in')
  await answers(patient, models, { from: '127.0.0.72' }, 200)
}

async function writesDown(patient: Patient): Promise<void> {
  const client = await dial({ address: open, port: patient.gateway.port })
  client.send('GET / HTTP/1.1\r\n\r\n')
  await client.ended(3_000)
  await new Promise((resolve) => setTimeout(resolve, 100))
  must(
    patient.gateway.log().some((line) => /"status":400,.*"denied":"tls"/.test(line)),
    'a failed handshake is not in the log',
  )
}

async function answersAnAuthority({ gateway, engine }: Patient): Promise<void> {
  const where = { address: gateway.address, port: challengePort }
  const ask = (line: string) => exchange(where, request(`${line} HTTP/1.1`, [`Host: ${ordered}`]), 1, 600)
  const token = '/.well-known/acme-challenge/token'
  const logged = () => gateway.log().length
  const before = logged()
  const { status } = await ask(`GET ${token}`)
  must(status === 200 && engine.received.at(-1)?.target === token, `${status} for an authority`)
  for (const line of [`POST ${token}`, 'GET /', 'GET /v1/models', 'GET /x/.well-known/acme-challenge/'])
    must((await ask(line)).status === 0, `${line} is answered on port 80`)
  must(logged() === before, 'port 80 is in the log')
  const idle = await dial(where)
  must((await idle.ended(3_000)) !== 'open', 'who says nothing stays on port 80')
}

/** Whoever has no key guesses none. */
async function countsNoKeyless(patient: Patient): Promise<void> {
  const from = '127.0.0.75'
  const { port } = patient.gateway
  const client = await dial({ address: open, port, from, tls: { servername: name } })
  for (let tries = 1; tries <= 62; tries += 1) {
    client.send(request(`${models} HTTP/1.1`, [`Host: ${name}`]))
    await client.settled(tries)
  }
  client.hangUp()
  await answers(patient, models, { at: 'public', from, key: 'wrong' }, 401)
}

/** On the internet nobody learns why a key opens nothing, and a certificate counts before any key. */
async function isAlike(patient: Patient): Promise<void> {
  for (const key of [old, 'wrong', undefined])
    await answers(patient, 'POST /api/chat', { at: 'public', key }, 403, 'that is known here')
  for (const key of ['rop_wrong', narrow])
    for (const line of [models, 'POST /v1/messages'])
      await answers(patient, line, { at: 'public', options: ann, key }, 200)
}

export const listened: Expectation[] = [
  ['an authority is answered', answersAnAuthority],
  ['the tailnet stays as it is', tailnetStays],
  ['the internet is asked for a key', asksForKeys],
  ['the internet learns nothing', isAlike],
  ['certificates are known', asksForCertificates],
  ['https goes by names', hasNames],
  ['a listener has its sources', hasItsSources],
  ['the tailnet is bounded', boundsTheTailnet],
  ['a listener has its groups', hasItsGroups],
  ['people are those of the tailnet', knowsPeople],
  ['a failed handshake is written down', writesDown],
  ['no key is no guess', countsNoKeyless],
  ['the internet is bounded', boundsThePublic],
]
