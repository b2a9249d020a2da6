import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Box, namespaces } from '../box/box.ts'
import { node } from '../box/paths.ts'
import { eventually } from './await.ts'
import { answers, install, installedBox, installs, job, runningPid, status } from './installed.ts'

const possible = namespaces()
const why = 'why' in possible ? possible.why : ''

let box: Box

beforeAll(async () => {
  if (!why) box = await installedBox()
})
afterAll(() => box?.close())

/** What the laptop hears within a moment from an address: a status, or why there is none. */
const hears = (host: string): Promise<number | string> =>
  Promise.race([
    box
      .http('laptop', { host, path: '/api/version', headers: { host: `${host}:${box.port}` }, timeoutMs: 2_000 })
      .then(({ status }) => status)
      .catch((error: NodeJS.ErrnoException) => error.code ?? error.message),
    new Promise<string>((resolve) => setTimeout(resolve, 2_000, 'silence')),
  ])

describe.skipIf(why)(`Tailscale ${why && `(skipped: ${why})`}`, () => {
  it('serves the MagicDNS name to another machine', async () => {
    const url = `http://studio.tail0lab.ts.net:${box.port}/v1/models`
    const program = `fetch('${url}').then(async (answer) => console.log(answer.status, await answer.text()))`
    const { stdout } = await box.run([node, '-e', program], { on: 'laptop' })
    expect(stdout).toMatch(/^200 .*"qwen3:0\.6b"/)
  })

  it('stopped: status.ts names it, and the gateway is silent', async () => {
    await box.tailnet(false)
    const seen = await status(box)
    expect(seen.code).toBe(1)
    expect(seen.of('tailscale.up')).toMatchObject({
      state: 'missed',
      saw: 'Tailscale is Stopped',
      remedy: expect.stringMatching(/Tailscale up`/),
    })
    expect(await hears(box.address)).not.toBe(200)
    expect(seen.statement).toContain('NOT PROVEN that the gateway answers')
  })

  it('stopped: install.ts says so in one sentence and changes nothing when it does not come up', async () => {
    box.mac((mac) => {
      mac.tailscale.denied = true
    })
    const pids = [await runningPid(box, 'com.ollama'), await runningPid(box, 'com.haproxy')]
    const { code, stderr } = await install(box)
    expect(code).toBe(3)
    expect(stderr).not.toContain('    at ')
    expect([await runningPid(box, 'com.ollama'), await runningPid(box, 'com.haproxy')]).toEqual(pids)
    box.mac((mac) => {
      mac.tailscale.denied = false
    })
  })

  it('up again: it answers without our doing', async () => {
    await box.tailnet(true)
    await answers(box)
    expect(await status(box)).toMatchObject({ code: 0 })
  })

  it('stopped with settings of one’s own: install.ts connects, and the settings are left alone', async () => {
    const own = { 'exit-node': '100.64.0.9', 'advertise-routes': '10.0.0.0/8', ssh: true } as const
    box.mac(({ tailscale }) => {
      tailscale.own = own
    })
    await box.tailnet(false)
    await installs(box)
    expect(box.state().tailscale).toMatchObject({ state: 'Running', own })
    box.mac(({ tailscale }) => {
      tailscale.own = undefined
    })
  })

  it('with a key that ends within 30 days: advice, and no failure', async () => {
    const soon = new Date(Date.now() + 10 * 86_400_000).toISOString()
    box.mac((mac) => {
      mac.tailscale.keyExpiry = soon
    })
    const seen = await status(box)
    expect(seen.code).toBe(0)
    expect(seen.of('tailscale.key-expiry')).toMatchObject({
      state: 'advice',
      saw: expect.stringContaining(`expires on ${soon.slice(0, 10)}`),
      remedy: expect.stringContaining('login.tailscale.com/admin/machines'),
    })
    box.mac((mac) => {
      mac.tailscale.keyExpiry = undefined
    })
  })

  it('without MagicDNS: next steps name the address, and entries that are nothing keep nobody out', async () => {
    box.mac(({ tailscale }) => {
      tailscale.magicDnsOff = true
      tailscale.nullEntries = true
      tailscale.hostName = '🖥️ Ada’s Studio'
    })
    const { stdout } = await installs(box, ['--verbose'])
    expect(stdout).toContain(`Ready: http://${box.address}:${box.port}`)
    expect(stdout).toContain('MagicDNS is off, so clients use the address')
    box.mac(({ tailscale }) => {
      tailscale.magicDnsOff = false
      tailscale.nullEntries = false
      tailscale.hostName = 'studio'
    })
    await installs(box)
  })

  it('without IPv4: the true reason, and nothing is changed', async () => {
    const { ipv4 } = box.state().tailscale
    box.mac(({ tailscale }) => {
      tailscale.ipv4 = ''
    })
    expect((await status(box)).of('tailscale.up')).toMatchObject({
      state: 'missed',
      saw: expect.stringMatching(/an IPv6 address alone .*the gateway needs one of IPv4/),
    })
    const { code, stderr } = await install(box)
    expect([code, stderr]).toEqual([3, expect.stringContaining('disable-ipv4')])
    box.mac(({ tailscale }) => {
      tailscale.ipv4 = ipv4
    })
    expect(await status(box)).toMatchObject({ code: 0 })
  })

  it('serving our port itself: found, named, and nothing is changed', async () => {
    box.mac((mac) => {
      mac.tailscale.serve = { TCP: { [box.port]: { TCPForward: '127.0.0.1:3000' } } }
    })
    expect((await status(box)).of('tailscale.serve')).toMatchObject({
      state: 'missed',
      remedy: expect.stringContaining(`Tailscale serve --tcp=${box.port} off`),
    })
    const { code, stderr } = await install(box)
    expect(code).toBe(3)
    expect(stderr).toContain(`tailscale serve answers on port ${box.port} in the gateway’s place`)
    box.mac((mac) => {
      mac.tailscale.serve = {}
    })
  })

  it('twice on this Mac: both variants are named', async () => {
    await box.run(['brew', 'install', 'tailscale'])
    expect((await status(box)).of('tailscale.one-variant')).toMatchObject({
      state: 'missed',
      saw: 'two variants of Tailscale are installed: standalone and formula',
      remedy: expect.stringContaining('brew uninstall tailscale'),
    })
    expect(await install(box)).toMatchObject({ code: 3, stderr: expect.stringContaining('standalone and formula') })
    await box.run(['brew', 'uninstall', 'tailscale'])
    expect(await status(box)).toMatchObject({ code: 0 })
  })
})

describe.skipIf(why)('after a login that gave the Mac another address', () => {
  const moved = '100.64.0.42'

  it('the gateway stays down rather than wrong, and status.ts names the old address and the new', async () => {
    await box.tailnet(false)
    box.mac((mac) => {
      mac.tailscale.ipv4 = moved
    })
    await box.tailnet(true)
    expect(await hears(moved)).toBe('ECONNREFUSED')
    const seen = await status(box)
    expect(seen.code).toBe(1)
    expect(seen.of('haproxy.address')).toMatchObject({
      state: 'missed',
      saw: `the gateway is configured for ${box.address}, and the tailnet gives ${moved}`,
    })
    expect(seen.statement).not.toContain(`answers on ${moved}`)
  })

  it('a restart does not bring it up on the wrong address either: it waits, and says for what', async () => {
    await box.run(['launchctl', 'kickstart', '-k', 'gui/501/com.haproxy'])
    await eventually('the job says that it waits', () =>
      box.read('Library/Logs/remote-ollama-proxy/haproxy.job.log').includes(`waiting for ${box.address}`),
    )
    expect(await hears(moved)).toBe('ECONNREFUSED')
  })

  it('install.ts moves the gateway to the new address', async () => {
    await installs(box)
    await answers(box, moved)
    expect((await job(box, 'com.haproxy'))?.text).toContain(`GATEWAY_ADDRESS => ${moved}`)
    expect(await status(box)).toMatchObject({ code: 0 })
  })
})
