import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { filesOf, leftIn } from './linux-left.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const patience = 240_000
let machine: Booted
let before: Map<string, string>

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])

describe.skipIf(why !== undefined)(`somebody who types on Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    // Debian's own: what is asked at a terminal there would be waited for without end.
    const needrestart = await sh(
      'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y needrestart',
    )
    expect(needrestart.code, needrestart.stderr).toBe(0)
    before = await filesOf(machine)
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('installs beside needrestart, which asks nothing and restarts nothing of theirs', async () => {
    await sh('systemd-run -q --unit=theirs sleep infinity')
    const since = async () => (await sh('systemctl show -P ActiveEnterTimestampMonotonic theirs dbus outside')).stdout
    const began = await since()
    const typing = machine.typed(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`)
    const { code } = await typing.done
    const seen = stripVTControlCharacters(typing.output())
    expectGreen(code, seen)
    expect(seen).not.toMatch(/Which services should be restarted|Pending kernel upgrade/)
    expect(await since()).toBe(began)
    expect((await sh('ls /etc/needrestart/restart.d')).stdout).toContain('remote-ollama-proxy-gateway.service')
  })

  test('renews a library below all of it: the gateway goes on, ours reload it, and all is well', async () => {
    const gateway = async () => (await sh('systemctl show -P MainPID remote-ollama-proxy-gateway')).stdout
    const held = await gateway()
    // The file that processes have mapped is another one from now on, as after an upgrade.
    await sh('for f in /lib/*/libcrypt.so.1; do cp -L $f $f.new && mv $f.new $(readlink -f $f); done')
    const listed = await sh('needrestart -b -r l')
    expect(listed.stdout).toContain('NEEDRESTART-SVC: remote-ollama-proxy-gateway.service')
    const all = await sh('NEEDRESTART_MODE=a timeout 120 needrestart -r a')
    expect(all.code, `${all.stdout}${all.stderr}`).toBe(0)
    expect(await gateway()).toBe(held)
    const status = machine.typed('rop status')
    expectGreen((await status.done).code, status.output())
    expect((await sh('systemctl --failed --no-legend')).stdout).toBe('')
  })

  test('says yes to two programs that install brought, which go, and Enter to the third, which stays', async () => {
    const typing = machine.typed('rop uninstall')
    await typing.expect('Remove it?', patience)
    typing.write('\r')
    for (const [name, keys] of [
      ['haproxy', 'y\r'],
      ['ollama', '\r'],
      ['tailscale', 'y\r'],
    ] as const) {
      await typing.expect(`Remove ${name}, which`, patience)
      typing.write(keys)
    }
    const { code } = await typing.done
    const seen = stripVTControlCharacters(typing.output())
    expect(code, seen).toBe(0)
    expect(seen).toMatch(/brought ollama, which stays; it goes by: sudo /)
    expect((await sh('command -v haproxy; command -v tailscale; command -v tailscaled')).stdout).toBe('')
    expect((await sh('systemctl is-active ollama')).stdout).toBe('active\n')
    const repository = '/etc/apt/sources.list.d/tailscale.list /usr/share/keyrings/tailscale-archive-keyring.gpg'
    expect((await sh(`ls ${repository}`)).stdout).toBe('')
    expect((await sh('apt-get update -q')).code).toBe(0)
    expect(await leftIn(machine, before)).toEqual({ changed: [], gone: [] })
  })
})
