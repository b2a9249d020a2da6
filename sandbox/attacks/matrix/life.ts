import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { stringify } from 'yaml'
import { settingExamples } from '../../../lib/site/examples.ts'
import { settingsFile } from '../../../lib/site/settings.ts'
import { type Box, createBox, differences, type Outcome } from '../../box/box.ts'
import { everything } from '../../box/everything.ts'
import { node } from '../../box/paths.ts'
import { combine } from '../../box/presets.ts'
import type { Haproxy } from '../../box/tools.ts'
import { authority } from '../../lab/certificates.ts'
import { placeModels, withReal } from '../../stories/real.ts'
import { asked, placeLaptop } from './laptop.ts'
import { askedThere, asksCertificates, type Pass, type Shown } from './neighbour.ts'
import { type Combination, refusals } from './refusals.ts'

/** What became of a combination: everything as promised, refused as it is listed, or neither, at this step. */
export type Verdict = { is: 'green' } | { is: 'refused'; why: string } | { is: 'red'; step: string; saw: string }

/** ms that a script may take on a busy machine */
const patience = 240_000
const quick = { launchd: { throttleMs: 200 }, pmset: { ac: { sleep: 0, autorestart: 1 } } }
/** Two models whose files are of one second, as in a folder that was copied. */
const models = ['qwen3:0.6b', 'tiny-loop']

/** Whoever takes alerts: one that reaches nobody is a miss. */
const taker =
  "require('http').createServer((asked, answer) => asked.resume() && answer.end()).listen(9999, '127.0.0.1')"

/** What is behind services: a page, and JSON where programs ask. */
const served =
  "require('http').createServer((asked, answer) => asked.resume() && answer.setHeader('content-type', /^.(v1|health|collections)/.test(asked.url) ? 'application/json' : 'text/html').end('{}')).listen(18080, '127.0.0.1')"

const run = (box: Box, name: string, ...words: string[]): Promise<Outcome> =>
  box.script(name, words, { timeoutMs: patience, env: { ROP_FROM: box.home } })

/** What a person is told of misses, each with what was seen. */
const crosses = ({ stdout }: Outcome): string[] => {
  const lines = stripVTControlCharacters(stdout).split('\n')
  return lines.flatMap((line, at) => (line.startsWith('✗') ? `${line.trim()}: ${lines[at + 1]?.trim()}` : []))
}

/** Only the time that a request takes may be missed, since a busy machine decides it. */
const slow = (all: string[]): boolean => all.length > 0 && all.every((one) => one.includes('performance.overhead'))

const told = (outcome: Outcome): string =>
  [`exit code ${outcome.code}`, outcome.stderr.trim(), ...crosses(outcome), ...lastLine(outcome)]
    .filter(Boolean)
    .join('\n')

const lastLine = ({ stdout }: Outcome): string[] => stdout.trim().split('\n').slice(-1)

/** Certificates that are the owner's own files, and those that Tailscale has. */
function placeCertificates(box: Box): void {
  const ca = authority('an authority of the matrix')
  const { cert, key } = ca.server('*.example.net')
  box.write(`${box.home}/tls/chain.pem`, cert, 0o600)
  box.write(`${box.home}/tls/key.pem`, key, 0o600)
  const own = ca.server('studio.tail0lab.ts.net')
  box.mac(({ tailscale }) => {
    tailscale.certificates = [{ chain: own.cert, key: own.key }]
  })
}

/** What nodes are named with, and one that answers: a second Ollama with the same models. */
function placeNodes(box: Box): void {
  const ca = authority('an authority of nodes')
  for (const name of ['asleep', 'other']) box.write(`${box.home}/nodes/${name}.key`, `key-of-${name}\n`, 0o600)
  for (const name of ['root', 'other']) box.write(`${box.home}/nodes/${name}.pem`, ca.cert, 0o600)
  box.start(['/bin/sh', '-c', `OLLAMA_HOST=127.0.0.1:12500 exec ${box.prefix}/bin/ollama serve`])
}

/** A Mac on which install.ts has run, with the models, whose Ollama names them in another order each time. */
export async function installedMac(haproxy: Haproxy): Promise<Box> {
  const box = await createBox(withReal({ preset: 'ready', haproxy, mac: quick, folder: 'Ada Lovelace' }))
  try {
    placeModels(box)
    box.start([node, '-e', taker])
    box.start([node, '-e', served])
    placeLaptop(box, {})
    placeCertificates(box)
    placeNodes(box)
    box.write(settingsFile({ home: box.home, system: 'mac' }), `models: ${JSON.stringify(models)}\n`, 0o600)
    const outcome = await run(box, 'install.ts', '--yes')
    const manifests = `${box.home}/.ollama/models/manifests/registry.ollama.ai/library`
    await box.run(['sh', '-c', `touch -d 2026-01-01T00:00:00.5 '${manifests}'/*/*`])
    writeFileSync(join(box.dir, 'ollama-faults.json'), JSON.stringify({ anyOrder: true }))
    if (outcome.code > 1) throw new Error(`install.ts on a fresh Mac: ${told(outcome)}`)
    return box
  } catch (error) {
    await box.close()
    throw error
  }
}

const placed = (path: string, value: unknown): object =>
  path.split('.').reduceRight<object>((inner, word) => ({ [word]: inner }), value as object)

/** settings.yaml of a combination. */
export function yamlOf(combination: Combination): string {
  const own = Object.entries(combination).filter(([path]) => Object.hasOwn(settingExamples, path))
  return stringify(combine(...own.map(([path, value]) => placed(path, value))))
}

const flag = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** The limits of a combination's key as words for keys.ts. */
export const flagsOf = (combination: Combination): string[] =>
  Object.entries(combination).flatMap(([path, value]) =>
    path.startsWith('key.') ? [flag(path.slice(4)), ...(value === '' ? [] : [`${value}`])] : [],
  )

interface Told {
  id: string
  state: string
  saw: string
}

/** What is wrong in a run with --json; undefined when all is as promised. */
function reported(outcome: Outcome): string | undefined {
  if (outcome.code === 0) return undefined
  const found = misses(outcome.stdout)
  const summary = /"summary": "(.*)"/.exec(outcome.stdout)?.[1]
  return outcome.code === 1 && slow(found) ? undefined : found.join('\n') || (summary ?? told(outcome))
}

function misses(text: string): string[] {
  try {
    const { results } = JSON.parse(text) as { results: Told[] }
    return results.filter(({ state }) => state === 'missed').map(({ id, saw }) => `${id}: ${saw}`)
  } catch {
    return []
  }
}

/** A refusal that is listed, which changed nothing. */
function refusal(outcome: Outcome, changed: string[]): Verdict | undefined {
  if (outcome.code !== 2 && outcome.code !== 3) return undefined
  const known = refusals.find(({ exit, says }) => exit === outcome.code && says.test(outcome.stderr))
  if (!known) return { is: 'red', step: 'refusal', saw: `is not listed: ${told(outcome)}` }
  if (changed.length > 0) return { is: 'red', step: 'refusal', saw: `changed ${changed.join(', ')}` }
  return { is: 'refused', why: known.why }
}

/** Runs something that may be refused. */
async function changing(box: Box, step: string, name: string, ...words: string[]): Promise<Verdict | undefined> {
  const before = everything(box)
  const outcome = await run(box, name, ...words)
  if (outcome.code === 0) return undefined
  return refusal(outcome, differences(before, everything(box))) ?? { is: 'red', step, saw: told(outcome) }
}

async function proving(box: Box, step: string, name: string, ...words: string[]): Promise<Verdict | undefined> {
  const saw = reported(await run(box, name, ...words, '--json'))
  return saw === undefined ? undefined : { is: 'red', step, saw }
}

async function again(box: Box): Promise<Verdict | undefined> {
  const outcome = await run(box, 'install.ts', '--yes')
  const proven = outcome.code === 0 || (outcome.code === 1 && slow(crosses(outcome)))
  return proven && outcome.stdout.includes('Nothing to do')
    ? undefined
    : { is: 'red', step: 'install again', saw: told(outcome) }
}

/** What somebody was given. */
interface Means {
  key: string
  pass?: Pass
}

/** Makes a key, and a client certificate where one may be shown. */
async function adding(
  box: Box,
  made: Map<string, Means>,
  name: string,
  ...flags: string[]
): Promise<Verdict | undefined> {
  const before = everything(box)
  const outcome = await run(box, 'keys.ts', 'add', name, '--json', ...flags)
  if (outcome.code !== 0)
    return refusal(outcome, differences(before, everything(box))) ?? { is: 'red', step: 'keys add', saw: told(outcome) }
  const { key, certificate } = JSON.parse(outcome.stdout) as Given
  made.set(name, { key, ...(certificate && { pass: await taken(box, certificate) }) })
  return undefined
}

interface Given {
  key: string
  certificate?: { file: string; password: string }
}

/** The file is deleted once it was given. */
async function taken(box: Box, { file, password }: NonNullable<Given['certificate']>): Promise<Pass> {
  const { stdout } = await box.run(['base64', '-w0', file])
  await box.run(['rm', file])
  return { pfx: Buffer.from(stdout, 'base64'), passphrase: password }
}

/** What the neighbour on the LAN gets, and the laptop by https. */
async function outside(
  box: Box,
  combination: Combination,
  shown: Shown,
  means: Partial<Means> = {},
): Promise<Verdict | undefined> {
  const saw = await askedThere(box, combination, shown, means)
  return saw === undefined ? undefined : { is: 'red', step: 'the neighbour', saw }
}

/** The same for a key, and for the certificate beside it. */
async function shownBy(box: Box, combination: Combination, counts: boolean, { key, pass }: Means) {
  const byKey = await outside(box, combination, counts ? 'good' : 'wrong', { key })
  return byKey ?? (pass && outside(box, combination, counts ? 'certificate' : 'revoked', { pass }))
}

/** What the laptop gets: the word of somebody who is not test.ts. */
async function witnessed(
  box: Box,
  combination: Combination,
  ...[which, key]: ['none' | 'good' | 'wrong', string?]
): Promise<Verdict | undefined> {
  const saw = await asked(box, combination, which, key)
  return saw === undefined ? undefined : { is: 'red', step: 'the laptop', saw }
}

/** A step of a life by its name; gives nothing when all is as it should be. */
type Act = [step: string, act: () => Promise<Verdict | undefined>]

function acts(box: Box, combination: Combination): Act[] {
  const made = new Map<string, Means>()
  const names = { none: [], 'one with limits and one without': ['bob', 'carol'] }[`${combination.keys}`] ?? ['bob']
  const each = (step: string, act: (name: string) => Promise<Verdict | undefined>): Act[] =>
    names.map((name) => [step, () => act(name)])
  const flags = [...flagsOf(combination), ...(asksCertificates(combination) ? ['--certificate'] : [])]
  const means = (name: string): Means => made.get(name) ?? { key: '' }
  return [
    ['apply', () => changing(box, 'apply', 'apply.ts')],
    ...each('keys add', (name) => adding(box, made, name, ...(name === 'bob' ? flags : []))),
    ['the laptop', () => witnessed(box, combination, 'none')],
    ['the laptop', () => witnessed(box, combination, 'wrong', 'rop_wrong')],
    ...each('the laptop', (name) => witnessed(box, combination, 'good', means(name).key)),
    ['the neighbour', () => outside(box, combination, 'none')],
    ['the neighbour', () => outside(box, combination, 'wrong', { key: 'rop_wrong' })],
    ...each('the neighbour', (name) => shownBy(box, combination, true, means(name))),
    ['status', () => proving(box, 'status', 'status.ts')],
    ['test', () => proving(box, 'test', 'test.ts')],
    ['test --hostile', () => proving(box, 'test --hostile', 'test.ts', '--hostile')],
    ['install again', () => again(box)],
    ...each('keys revoke', (name) => changing(box, 'keys revoke', 'keys.ts', 'revoke', name)),
    ...each('the laptop', (name) => witnessed(box, combination, 'wrong', means(name).key)),
    ...each('the neighbour', (name) => shownBy(box, combination, false, means(name))),
    ['status after revoke', () => proving(box, 'status after revoke', 'status.ts')],
  ]
}

/** What comes before the proofs, and after them. */
const always = ['apply', 'keys add', 'keys revoke']

/** A whole life with a combination: applied, keys made, all proven twice, nothing left to do, and keys revoked; or, of the proofs, only the one that is named. */
export async function live(box: Box, combination: Combination, only?: string): Promise<Verdict> {
  box.write(settingsFile({ home: box.home, system: 'mac' }), yamlOf(combination), 0o600)
  placeLaptop(box, combination)
  const expected = refusals.find(({ when }) => when?.(combination))
  for (const [step, act] of acts(box, combination)) {
    if (only !== undefined && step !== only && !always.includes(step)) continue
    const verdict = await act()
    if (verdict) return verdict
  }
  return expected ? { is: 'red', step: 'refusal', saw: `taken, although ${expected.why}` } : { is: 'green' }
}
