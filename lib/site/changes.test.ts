import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { changesOf } from './changes.ts'
import { parseSettings } from './settings.ts'

const defaults = readFileSync('templates/settings.yaml', 'utf8')
const written = (text: string) => ({ text, settings: parseSettings(text, 'settings.yaml') })
const said = (before: string, after: string) => changesOf(written(before), written(after), defaults)

it.each([
  ['', 'access: keys', ['From now on a key is asked for; there are 0.']],
  ['access: keys', '', ['No key is asked for any more: whoever the tailnet lets in may ask.']],
  ['', 'groups: [agents, embeddings]', ['embeddings is open now: embeddings; can push the chat model out of memory.']],
  ['queue: { wait: 20s }', '', ['queue.wait is 90s now; it was 20s.']],
  ['', 'limits: { per_minute: 3 }', ['limits.per_minute is 3 now.']],
  ['limits: { per_minute: 3 }', '', ['limits.per_minute is gone; it was 3.']],
  ['', 'models: [tiny, tiny-loop]', ['models is [tiny, tiny-loop] now; it was [].']],
  ['# a comment', '# another', []],
  ['drain: 10m', 'drain: 600s', []],
])('from %j to %j', (before, after, sentences) => {
  expect(said(before, after)).toEqual(sentences)
})
