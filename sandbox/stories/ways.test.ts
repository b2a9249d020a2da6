import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Box, namespaces, type Running } from '../box/box.ts'
import { node } from '../box/paths.ts'
import { installedBox, status } from './installed.ts'

const possible = namespaces()
const why = 'why' in possible ? possible.why : ''

let box: Box
beforeAll(async () => {
  if (!why) box = await installedBox()
})
afterAll(() => box?.close())

const cli = '/Applications/Tailscale.app/Contents/MacOS/Tailscale'
const tailscale = ['env', 'TAILSCALE_BE_CLI=1', cli]

/** Types a remedy as it was told. */
const types = (remedy = '') => box.run(['env', 'TAILSCALE_BE_CLI=1', 'sh', '-c', remedy])

/** A program that passes on whatever comes. */
const passes = (address: string, to: string): string[] => [
  node,
  '-e',
  `const net = require('net')
   net.createServer((one) => { const other = net.connect(11434, '${to}'); one.pipe(other).pipe(one); one.on('error', () => {}); other.on('error', () => {}) })
     .listen(8080, '${address}', () => console.log('listens'))`,
]

async function during<T>(argv: string[], says: string, work: (running: Running) => Promise<T>): Promise<T> {
  const running = box.start(argv)
  try {
    await running.expect(says)
    return await work(running)
  } finally {
    running.kill('SIGINT')
    await running.done
  }
}

describe.skipIf(why)(`ways past the gateway ${why && `(skipped: ${why})`}`, () => {
  it('tailscale serve to Ollama: a miss, in the statement, too, until its remedy is typed', async () => {
    await box.run([...tailscale, 'serve', '--bg', '--https=8443', 'http://localhost:11434'])
    const seen = await status(box)
    expect(seen.code).toBe(1)
    expect(seen.of('isolation.served')).toMatchObject({ state: 'missed', remedy: `${cli} serve --https=8443 off` })
    expect(seen.statement).toContain('NOT PROTECTED: tailscale serve leads port 8443 to Ollama itself')
    expect(seen.statement).not.toContain('on loopback only')
    await types(seen.of('isolation.served')?.remedy)
    expect(await status(box)).toMatchObject({ code: 0 })
  })

  it('a session of tailscale serve in a terminal: a miss as long as it runs', async () => {
    const session = [...tailscale, 'serve', '--tcp=8443', 'tcp://127.0.0.1:11434']
    const seen = await during(session, 'Press Ctrl+C', () => status(box))
    expect(seen.of('isolation.served')).toMatchObject({ state: 'missed', remedy: expect.stringContaining('Ctrl-C') })
    expect((await status(box)).of('isolation.served')).toMatchObject({ state: 'ok' })
  })

  it('tailscale funnel to the gateway: advice that names the guards, and no failure', async () => {
    await box.run([...tailscale, 'funnel', '--bg', '--tls-terminated-tcp=443', `tcp://${box.address}:11434`])
    const seen = await status(box)
    expect(seen.code).toBe(0)
    expect(seen.of('isolation.served')).toMatchObject({
      state: 'advice',
      saw: expect.stringMatching(/anybody on the internet.*to the gateway.*guard by source/),
    })
    expect(seen.statement).toContain('also reached: tailscale funnel')
    await box.run([...tailscale, 'funnel', '--tls-terminated-tcp=443', 'off'])
  })

  it('a program that passes on to Ollama is named, and its remedy ends it', async () => {
    await during(passes('192.168.78.1', '127.0.0.1'), 'listens', async (running) => {
      const seen = await status(box)
      expect(seen.code).toBe(1)
      expect(seen.of('isolation.forwards')).toMatchObject({
        state: 'missed',
        saw: expect.stringMatching(/node \(process \d+\) on 192\.168\.78\.1 port 8080 leads others to Ollama itself/),
      })
      await types(seen.of('isolation.forwards')?.remedy)
      await running.done
    })
    expect((await status(box)).of('isolation.forwards')).toMatchObject({ state: 'ok' })
  })

  it('one that passes on to the gateway is advice', async () => {
    const seen = await during(passes('192.168.78.1', box.address), 'listens', () => status(box))
    expect(seen.code).toBe(0)
    expect(seen.of('isolation.forwards')).toMatchObject({ state: 'advice' })
  })

  it('one for this Mac alone is nothing', async () => {
    const seen = await during(passes('127.0.0.1', '127.0.0.1'), 'listens', () => status(box))
    expect(seen.of('isolation.forwards')).toMatchObject({ state: 'ok' })
  })
})
