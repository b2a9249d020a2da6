import { expect } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box, Outcome } from '../box/box.ts'
import { job, listeners, told } from './witness.ts'

export const ours = Object.values(labels)

/** Nothing of ours runs, is loaded, or lies anywhere but in the settings. */
export async function expectGone(box: Box): Promise<void> {
  for (const label of ours) expect(await job(box, label), label).toBeUndefined()
  expect(await listeners(box, box.port)).toEqual([])
  const { stdout } = await box.run(['ps', '-axo', 'args'])
  expect(stdout).not.toMatch(/bounded-|haproxy -W|ollama serve/)
  const left = [...box.snapshot('.').keys()].filter((path) => /haproxy|remote-ollama-proxy|com\.ollama/.test(path))
  expect(left.filter((path) => !path.startsWith('.config/remote-ollama-proxy'))).toEqual([])
}

/** An uninstall came to its end and left no log. */
export function expectDone(outcome: Outcome): void {
  expect(outcome.code, told(outcome)).toBe(0)
  expect(outcome.stderr).toBe('')
  expect(outcome.stdout.trimEnd().split('\n').at(-1)).toBe('log: none (removed)')
}
