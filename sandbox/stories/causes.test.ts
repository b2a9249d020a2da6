import { afterAll, beforeAll, expect, test } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box } from '../box/box.ts'
import { at, installed, quickBox, run } from './witness.ts'

let box: Box

beforeAll(async () => {
  box = await quickBox()
  await installed(box)
})
afterAll(() => box?.close())

type Shown = { id: string; state: string; saw: string; remedy?: string }

/** What a script misses, as it says itself. */
async function misses(script: string): Promise<string[]> {
  const { results } = JSON.parse((await run(box, script, '--json')).stdout) as { results: Shown[] }
  // A busy test machine decides how long a request takes.
  return results.filter(({ id, state }) => state === 'missed' && id !== 'performance.overhead').map(({ id }) => id)
}

const launchctl = (...words: string[]) => box.run(['launchctl', ...words])
const stopped = (label: string) => launchctl('bootout', `gui/${box.state().uid}/${label}`)
const started = (label: string) => launchctl('bootstrap', `gui/${box.state().uid}`, `${at(box).agents}/${label}.plist`)

/** Changes a file, and gives what puts it back. */
function edited(file: string, change: (text: string) => string, mode = 0o600): () => void {
  const text = box.read(file)
  box.write(file, change(text), mode)
  return () => box.write(file, text, mode)
}

const login = () => box.state().tailscale

/** What is done to a machine, what it is called, and how it is undone. */
const causes: [what: string, id: string, harm: () => Promise<unknown>, mend: () => Promise<unknown>][] = [
  ['Ollama’s job was stopped', 'ollama.service', () => stopped(labels.engine), () => started(labels.engine)],
  ['the gateway’s job was stopped', 'haproxy.service', () => stopped(labels.gateway), () => started(labels.gateway)],
  [
    'the observer’s job was stopped',
    'observer.service',
    () => stopped(labels.observer),
    () => started(labels.observer),
  ],
  ['Tailscale was disconnected', 'tailscale.up', () => box.tailnet(false), () => box.tailnet(true)],
]

test.each(causes)('%s: one miss, and what follows from it is told as resting on it', async (_what, id, harm, mend) => {
  await harm()
  try {
    expect(await misses('status.ts')).toEqual([id])
    expect(await misses('test.ts')).toEqual([id])
  } finally {
    await mend()
    await expect.poll(() => misses('status.ts'), { timeout: 30_000, interval: 500 }).toEqual([])
  }
})

test('one who logged out of Tailscale is told that, and nothing about the configuration', async () => {
  const before = login()
  box.mac({ tailscale: { ...before, state: 'NeedsLogin', joined: false } })
  try {
    expect(await misses('status.ts')).toEqual(['tailscale.up'])
  } finally {
    box.mac({ tailscale: before })
  }
})

test('a configuration that was edited by hand is one miss', async () => {
  const back = edited(at(box).config, (text) => text.replace('timeout queue', '# mine\n    timeout queue'))
  try {
    expect(await misses('test.ts')).toEqual(['haproxy.config'])
  } finally {
    back()
  }
})
