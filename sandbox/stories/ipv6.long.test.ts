import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Box, namespaces, net } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, installedBox, installs, job, logs, putSettings, runningPid, setFaults, status } from './installed.ts'
import { endless, endlessWords, longChat, openStream, words } from './stream.ts'

const possible = namespaces()
const why = 'why' in possible ? possible.why : existsSync('/proc/net/if_inet6') ? '' : 'this kernel has no IPv6'

const six = net.mac.tailnet6
let box: Box

beforeAll(async () => {
  if (!why) box = await installedBox({ settings: `models: [${endless}]\n` })
})
afterAll(() => box?.close())

/** What becomes of the tunnel's IPv6 address from now on; nothing unless told. */
async function ipv6(is?: 'absent' | 'tentative'): Promise<void> {
  box.mac(({ network }) => {
    if (is) network.ipv6 = is
    else delete network.ipv6
  })
  await box.place()
}

/** The Mac is started anew with such an IPv6 address. */
async function reboot(is: 'absent' | 'tentative'): Promise<void> {
  box.mac(({ network }) => {
    network.ipv6 = is
  })
  await box.reboot()
}

const said = () => box.read(`${logs}/haproxy.job.log`)

describe.skipIf(why)(`IPv6 ${why && `(skipped: ${why})`}`, () => {
  it('is answered on like IPv4', async () => {
    await answers(box)
    await answers(box, six)
    expect((await status(box)).of('haproxy.ipv6')).toMatchObject({ state: 'ok', saw: six })
  })

  it('that is absent after a restart delays nothing: IPv4 answers, HAProxy was started once, and status.ts says so', async () => {
    await reboot('absent')
    await answers(box)
    expect((await job(box, 'com.haproxy'))?.text).toContain('runs = 1')
    expect(said()).toContain(`starting without ${six}`)
    const seen = await eventually('nothing is missed', async () => {
      const now = await status(box)
      return now.code === 0 ? now : undefined
    })
    expect(seen.of('haproxy.ipv6')).toMatchObject({
      state: 'advice',
      saw: `${six} is on no interface, so the gateway answers on IPv4 alone`,
      remedy: expect.stringContaining('switch Tailscale off and on'),
    })
    expect(seen.of('haproxy.listens')).toMatchObject({ state: 'ok' })
  })

  it('that comes later is taken in without our doing, and no running answer is cut', async () => {
    const pid = await runningPid(box, 'com.haproxy')
    setFaults(box, { tokenDelayMs: 2, holds: { afterTokens: 20 } })
    const stream = await openStream(box, longChat(200))
    await stream.sees('w10')
    await ipv6()
    await answers(box, six)
    setFaults(box, {})
    expect(await stream.ended).toBe('whole')
    expect(words(stream.text())).toBe(endlessWords(200))
    expect(await runningPid(box, 'com.haproxy')).toBe(pid)
    expect(await status(box)).toMatchObject({ code: 0 })
  })

  it('that is tentative is waited for some seconds, since a new one always is, and then bound at once', async () => {
    const before = said().length
    await reboot('tentative')
    await eventually('the gateway’s job runs', async () => (await job(box, 'com.haproxy'))?.pid)
    await ipv6()
    await answers(box, six)
    expect(said().slice(before)).not.toMatch(/starting without|Reloading/)
  })

  it('that stays tentative is named as that, and brought in by apply.ts where no observer is there to do it', async () => {
    putSettings(box, `models: [${endless}]\nobserver: off\n`)
    const without = await box.script('apply.ts')
    expect(without, without.stderr).toMatchObject({ code: 0 })
    await reboot('tentative')
    await answers(box)
    const seen = (await status(box)).of('haproxy.ipv6')
    expect(seen).toMatchObject({ state: 'advice', saw: expect.stringContaining('is tentative') })
    expect(seen?.remedy).toContain('apply.ts')
    await ipv6()
    expect((await status(box)).of('haproxy.ipv6')).toMatchObject({ state: 'missed', remedy: 'npx tsx apply.ts' })
    const applied = await box.script('apply.ts')
    expect(applied, applied.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('IPv6') })
    await answers(box, six)
    expect(await status(box)).toMatchObject({ code: 0 })
  })

  it('that is absent at the installation is no obstacle either', async () => {
    await ipv6('absent')
    await box.run(['ip', '-6', 'addr', 'del', `${six}/128`, 'dev', net.device])
    await box.run(['launchctl', 'kickstart', '-k', 'gui/501/com.haproxy'])
    await answers(box)
    await installs(box)
    expect((await status(box)).of('haproxy.ipv6')).toMatchObject({ state: 'advice' })
  })
})
