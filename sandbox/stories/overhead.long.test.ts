import { closeSync, openSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Box, namespaces } from '../box/box.ts'
import { program } from '../box/paths.ts'
import { eventually } from './await.ts'
import { installedBox, runningPid, type Seen, worker } from './installed.ts'

/** Why the box cannot send the Mac's own packets through a process; empty when it can. */
function missing(): string {
  const possible = namespaces()
  if ('why' in possible) return possible.why
  if (!program('perl')) return 'there is no perl, which holds packets back'
  try {
    closeSync(openSync('/dev/net/tun', 'r+'))
    return ''
  } catch (error) {
    return `no tunnel can be made here: ${(error as Error).message}`
  }
}

const why = missing()

let box: Box

beforeAll(async () => {
  if (!why) box = await installedBox()
})
afterAll(() => box?.close())

/** What test.ts says of the gateway's cost, with the numbers (ms) in its words. */
async function overhead(): Promise<Seen & { adds: number; way: number }> {
  const { stdout } = await box.script('test.ts', ['--only', 'performance', '--json'])
  const [result] = (JSON.parse(stdout) as { results: Seen[] }).results
  if (!result) throw new Error(`no result: ${stdout}`)
  const [, adds, way] = /adds ([\d.]+) ms .* takes ([\d.]+) ms\)$/.exec(result.saw) ?? []
  return { ...result, adds: Number(adds), way: Number(way) }
}

/** Has the running gateway wait so long (ms) between a list's request and Ollama: HAProxy's own wait, which is for bytes and no whole requests. */
async function slowed(ms: number): Promise<void> {
  const socket = `unix@${box.home}/.haproxy/run/slowed.sock`
  const wait = `tcp-request inspect-delay ${ms}ms\n    tcp-request content accept if WAIT_END`
  const server = `server engine 127.0.0.1:${box.enginePort}`
  const direct = `${server} track inference/engine`
  const text = box.read('.haproxy/haproxy.cfg')
  expect(text).toContain(direct)
  box.write(
    '.haproxy/haproxy.cfg',
    `${text.replace('global\n', 'global\n    setenv LAB slowed\n').replace(direct, `http-reuse never\n    server engine ${socket} track inference/engine`)}
listen slowed
    mode tcp
    no log
    bind ${socket} mode 600
    ${wait}
    ${server}
`,
    0o600,
  )
  await box.run(['/bin/kill', '-USR2', `${await runningPid(box, 'com.haproxy')}`])
  await eventually('the slowed worker runs', async () => (await worker(box, 'show env LAB')).includes('slowed'))
}

describe.skipIf(why)(`The proof that the gateway costs less than 1 ms ${why && `(skipped: ${why})`}`, () => {
  it('does not count Tailscale’s way to this Mac’s own address, 1.5 ms there and 1.5 ms back', async () => {
    expect((await overhead()).way).toBeLessThan(1)
    box.mac(({ network }) => {
      network.loopMs = 1.5
    })
    // Also after the address has been away.
    for (const up of [true, false, true]) await box.tailnet(up)
    const seen = await overhead()
    expect(seen.way, seen.saw).toBeGreaterThan(6)
    expect(seen, seen.saw).toMatchObject({ state: 'ok' })
  })

  it('counts a gateway that takes 2 ms, however long that way is', async () => {
    await slowed(2)
    const seen = await overhead()
    expect(seen, seen.saw).toMatchObject({ state: 'missed' })
    expect(seen.way, seen.saw).toBeGreaterThan(6)
    expect(seen.adds, seen.saw).toBeGreaterThan(1.9)
  })
})
