import { z } from 'zod'
import { didYouMean } from './nearest.ts'

/** A whole number between two, in words of ours whatever is wrong with it. */
export function count(least: number, most: number) {
  const words = `a whole number from ${least} to ${most}`
  return z.int(words).min(least, words).max(most, words)
}

const empty: Record<string, string> = { array: '[] for none', object: '{} for none', record: '{} for none' }

function ofType(expected: string, input: unknown): string {
  if (input === null || input === undefined)
    return `nothing is written here; write ${empty[expected] ?? 'a value'}, or take it out for the default`
  if (expected === 'array') return `a list in brackets, such as [${typeof input === 'string' ? input : '…'}]`
  if (expected === 'object' || expected === 'record') return 'settings of its own, as NAME: VALUE'
  if (expected === 'boolean') return 'true or false, without quotes'
  if (expected === 'string') return `a word${typeof input === 'object' ? '' : `, so write "${input}" in quotes`}`
  return 'a whole number, without quotes'
}

function bound(word: string, amount: number | bigint, origin: string): string {
  const what: Record<string, string> = { string: ' letters', array: ' entries' }
  return `${word} ${amount}${what[origin] ?? ''}`
}

/** What would be right, for every kind of fault for which a schema has no words of its own: zod's never reach a person. */
export const inOurWords: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'invalid_type') return ofType(issue.expected, issue.input)
  if (issue.code === 'too_small') return bound('at least', issue.minimum, issue.origin)
  if (issue.code === 'too_big') return bound('at most', issue.maximum, issue.origin)
  if (issue.code === 'invalid_value') {
    const known = issue.values.map(String)
    return `one of ${known.join(', ')}${didYouMean(`${issue.input}`, known)}`
  }
  if (issue.code === 'unrecognized_keys') return `there is no ${issue.keys.join(', ')} here`
  return 'written in another form than it can be read in'
}
