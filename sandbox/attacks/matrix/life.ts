import { stripVTControlCharacters } from 'node:util'
import { stringify } from 'yaml'
import { settingExamples } from '../../../lib/site/examples.ts'
import { differences, type Outcome } from '../../box/box.ts'
import { combine } from '../../box/presets.ts'
import type { Ground } from './ground.ts'
import { asked, placeLaptop } from './laptop.ts'
import { askedThere, asksCertificates, type Pass, type Shown } from './neighbour.ts'
import { type Combination, refusals } from './refusals.ts'

/** What became of a combination: everything as promised, refused as it is listed, or neither, at this step. */
export type Verdict = { is: 'green' } | { is: 'refused'; why: string } | { is: 'red'; step: string; saw: string }

/** What a person is told of misses, each with what was seen. */
export const crosses = ({ stdout }: Outcome): string[] => {
  const lines = stripVTControlCharacters(stdout).split('\n')
  return lines.flatMap((line, at) => (line.startsWith('✗') ? `${line.trim()}: ${lines[at + 1]?.trim()}` : []))
}

/** Only the time that a request takes may be missed, since a busy machine decides it. */
export const slow = (all: string[]): boolean =>
  all.length > 0 && all.every((one) => one.includes('performance.overhead'))

export const told = (outcome: Outcome): string =>
  [`exit code ${outcome.code}`, outcome.stderr.trim(), ...crosses(outcome), ...lastLine(outcome)]
    .filter(Boolean)
    .join('\n')

const lastLine = ({ stdout }: Outcome): string[] => stdout.trim().split('\n').slice(-1)

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
async function changing(ground: Ground, step: string, name: string, ...words: string[]): Promise<Verdict | undefined> {
  const before = await ground.everything()
  const outcome = await ground.script(name, ...words)
  if (outcome.code === 0) return undefined
  return refusal(outcome, differences(before, await ground.everything())) ?? { is: 'red', step, saw: told(outcome) }
}

async function proving(ground: Ground, step: string, name: string, ...words: string[]): Promise<Verdict | undefined> {
  const saw = reported(await ground.script(name, ...words, '--json'))
  return saw === undefined ? undefined : { is: 'red', step, saw }
}

async function again(ground: Ground): Promise<Verdict | undefined> {
  const outcome = await ground.script('install.ts', '--yes')
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
  ground: Ground,
  made: Map<string, Means>,
  name: string,
  ...flags: string[]
): Promise<Verdict | undefined> {
  const before = await ground.everything()
  const outcome = await ground.script('keys.ts', 'add', name, '--json', ...flags)
  if (outcome.code !== 0)
    return (
      refusal(outcome, differences(before, await ground.everything())) ?? {
        is: 'red',
        step: 'keys add',
        saw: told(outcome),
      }
    )
  const { key, certificate } = JSON.parse(outcome.stdout) as Given
  made.set(name, { key, ...(certificate && { pass: await taken(ground, certificate) }) })
  return undefined
}

interface Given {
  key: string
  certificate?: { file: string; password: string }
}

/** The file is deleted once it was given. */
async function taken(ground: Ground, { file, password }: NonNullable<Given['certificate']>): Promise<Pass> {
  const { stdout } = await ground.run(['base64', '-w0', file])
  await ground.run(['rm', file])
  return { pfx: Buffer.from(stdout, 'base64'), passphrase: password }
}

/** What the neighbour on the LAN gets, and the laptop by https. */
async function outside(
  ground: Ground,
  combination: Combination,
  shown: Shown,
  means: Partial<Means> = {},
): Promise<Verdict | undefined> {
  const saw = await askedThere(ground, combination, shown, means)
  return saw === undefined ? undefined : { is: 'red', step: 'the neighbour', saw }
}

/** The same for a key, and for the certificate beside it. */
async function shownBy(ground: Ground, combination: Combination, counts: boolean, { key, pass }: Means) {
  const byKey = await outside(ground, combination, counts ? 'good' : 'wrong', { key })
  return byKey ?? (pass && outside(ground, combination, counts ? 'certificate' : 'revoked', { pass }))
}

/** What the laptop gets: the word of somebody who is not test.ts. */
async function witnessed(
  ground: Ground,
  combination: Combination,
  ...[which, key]: ['none' | 'good' | 'wrong', string?]
): Promise<Verdict | undefined> {
  const saw = await asked(ground, combination, which, key)
  return saw === undefined ? undefined : { is: 'red', step: 'the laptop', saw }
}

/** A step of a life by its name; gives nothing when all is as it should be. */
type Act = [step: string, act: () => Promise<Verdict | undefined>]

function acts(ground: Ground, combination: Combination): Act[] {
  const made = new Map<string, Means>()
  const names = { none: [], 'one with limits and one without': ['bob', 'carol'] }[`${combination.keys}`] ?? ['bob']
  const each = (step: string, act: (name: string) => Promise<Verdict | undefined>): Act[] =>
    names.map((name) => [step, () => act(name)])
  const flags = [...flagsOf(combination), ...(asksCertificates(combination) ? ['--certificate'] : [])]
  const means = (name: string): Means => made.get(name) ?? { key: '' }
  return [
    ['apply', () => changing(ground, 'apply', 'apply.ts')],
    ...each('keys add', (name) => adding(ground, made, name, ...(name === 'bob' ? flags : []))),
    ['the laptop', () => witnessed(ground, combination, 'none')],
    ['the laptop', () => witnessed(ground, combination, 'wrong', 'rop_wrong')],
    ...each('the laptop', (name) => witnessed(ground, combination, 'good', means(name).key)),
    ['the neighbour', () => outside(ground, combination, 'none')],
    ['the neighbour', () => outside(ground, combination, 'wrong', { key: 'rop_wrong' })],
    ...each('the neighbour', (name) => shownBy(ground, combination, true, means(name))),
    ['status', () => proving(ground, 'status', 'status.ts')],
    ['test', () => proving(ground, 'test', 'test.ts')],
    ['test --hostile', () => proving(ground, 'test --hostile', 'test.ts', '--hostile')],
    ['install again', () => again(ground)],
    ...each('keys revoke', (name) => changing(ground, 'keys revoke', 'keys.ts', 'revoke', name)),
    ...each('the laptop', (name) => witnessed(ground, combination, 'wrong', means(name).key)),
    ...each('the neighbour', (name) => shownBy(ground, combination, false, means(name))),
    ['status after revoke', () => proving(ground, 'status after revoke', 'status.ts')],
  ]
}

/** What comes before the proofs, and after them. */
const always = ['apply', 'keys add', 'keys revoke']

/** A whole life with a combination: applied, keys made, all proven twice, nothing left to do, and keys revoked; or, of the proofs, only the one that is named. */
export async function live(ground: Ground, combination: Combination, only?: string): Promise<Verdict> {
  await ground.write(ground.settings, yamlOf(combination))
  placeLaptop(ground, combination)
  const expected = refusals.find(({ when }) => when?.(combination))
  for (const [step, act] of acts(ground, combination)) {
    if (only !== undefined && step !== only && !always.includes(step)) continue
    const verdict = await act()
    if (verdict) return verdict
  }
  return expected ? { is: 'red', step: 'refusal', saw: `taken, although ${expected.why}` } : { is: 'green' }
}
