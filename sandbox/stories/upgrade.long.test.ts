import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { fingerprint, installedBox, installs, putSettings, runningPid, setFaults, status } from './installed.ts'
import { download } from './real.ts'
import { endless, endlessWords, lasting, longChat, openStream, type Stream, words } from './stream.ts'

let box: Box

const many = 'models: []\ninference: { slots: 16, parallel: 16 }\n'
const tokens = lasting(400, 2_000)

beforeAll(async () => {
  box = await installedBox({ settings: many, models: false, code: 5 })
  await download(box, [endless])
})
afterAll(() => box?.close())

/** Streams that are under way and stay so until `letGo`. */
async function openStreams(count: number): Promise<Stream[]> {
  setFaults(box, { tokenDelayMs: 2, holds: { afterTokens: 100 } })
  const streams = await Promise.all(Array.from({ length: count }, () => openStream(box, longChat(tokens))))
  await Promise.all(streams.map((stream) => stream.sees(' w63')))
  return streams
}

async function areWhole(streams: Stream[]): Promise<void> {
  setFaults(box, {})
  for (const stream of streams) {
    expect(await stream.ended).toBe('whole')
    expect(words(stream.text())).toBe(endlessWords(tokens))
    expect(stream.text()).toMatch(/data: \[DONE\]\n\n$/)
  }
}

describe('under ten open streams', () => {
  it('changed settings take effect, and no stream loses a word', async () => {
    const streams = await openStreams(10)
    const [before, engineBefore, proxyBefore] = await facts()
    putSettings(box, `${many}queue: { max: 16 }\n`)
    await installs(box)
    const [after, engineAfter, proxyAfter] = await facts()
    expect(after).not.toBe(before)
    expect(engineAfter, 'Ollama was not restarted').toBe(engineBefore)
    expect(proxyAfter, 'the proxy was reloaded, not restarted').toBe(proxyBefore)
    await areWhole(streams)
  })

  it('a newer HAProxy is named by status.ts, taken over by install.ts, and no stream loses a word', async () => {
    const newer = await upgrade()
    const streams = await openStreams(10)
    const [, , before] = await facts()
    const seen = await status(box)
    expect(seen.code).toBe(1)
    expect(seen.of('haproxy.config')).toMatchObject({
      state: 'missed',
      saw: expect.stringMatching(new RegExp(`^HAProxy \\S+ runs, ${newer.replaceAll('.', '\\.')}\\S* is installed$`)),
    })
    await installs(box)
    const [, , after] = await facts()
    expect(after, 'the proxy was reloaded, not restarted').toBe(before)
    expect(await status(box)).toMatchObject({ code: 0 })
    await areWhole(streams)
  })
})

const facts = async () => [
  await fingerprint(box),
  await runningPid(box, 'com.ollama'),
  await runningPid(box, 'com.haproxy'),
]

/** Brings Homebrew a HAProxy that calls itself by another version, and upgrades to it; gives that version. */
async function upgrade(): Promise<string> {
  const [[version = '', file = ''] = []] = Object.entries(box.state().brew.haproxyBinaries)
  const newer = version.replace(/\d$/, (digit) => (digit === '9' ? '0' : `${Number(digit) + 1}`))
  const copy = join(box.dir, 'haproxy-newer')
  const text = readFileSync(file, 'latin1').replaceAll(version, newer)
  writeFileSync(copy, text, { encoding: 'latin1', mode: 0o755 })
  box.mac(({ brew }) => {
    brew.haproxyBinaries[newer] = copy
    brew.latest.haproxy = newer
  })
  expect(await box.run(['brew', 'upgrade', 'haproxy'])).toMatchObject({ code: 0 })
  return newer
}
