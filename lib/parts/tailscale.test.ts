import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { converge } from '../steps/step.ts'
import { tailscale, upFinding } from './tailscale.ts'

const cli = '/usr/local/bin/tailscale'

/** A machine in a state that `tailscale up` does not change. */
const stays = (state: string, stderr: string) =>
  memoryHost({
    files: new Map([[cli, '']]),
    commands: {
      [`env TAILSCALE_BE_CLI=1 ${cli} status`]: { stdout: JSON.stringify({ BackendState: state }) },
      [`env TAILSCALE_BE_CLI=1 ${cli} up`]: { code: 1, stderr },
    },
  })

const up = (attended: boolean, version = [26], say: Setup['say'] = undefined) => {
  const machine = { system: 'mac', version } as Machine
  const setup = { attended, say, settings: parseSettings('', 'settings.yaml') } as Setup
  const step = tailscale.steps(machine, setup).find(({ id }) => id === 'tailscale.up')
  if (!step) throw new Error('no such step')
  return step
}

describe('a login that nobody makes', () => {
  it.each([
    [true, 10],
    [false, 2],
  ])('is waited for as long as somebody may come (at a terminal: %s): %i minutes', async (attended, minutes) => {
    const host = stays(
      'NeedsLogin',
      'To authenticate, visit: …\ntimeout waiting for Tailscale service to enter a Running state',
    )
    const result = await converge(up(attended), host)
    expect(host.ran).toEqual([`env TAILSCALE_BE_CLI=1 ${cli} up --timeout=${minutes}m`])
    expect(result).toMatchObject({ state: 'missed', exit: 3, remedy: undefined })
    expect(result.saw).toMatch(new RegExp(`^Nobody logged in to Tailscale within ${minutes} minutes; run `))
  })
})

describe('a tailnet without IPv4', () => {
  const six = { BackendState: 'Running', TailscaleIPs: ['fd7a:115c:a1e0::1'] }

  it('is told as that, and nothing is opened or connected', async () => {
    const host = memoryHost({
      files: new Map([
        [cli, ''],
        ['/Applications/Tailscale.app/x', ''],
      ]),
      commands: { [`env TAILSCALE_BE_CLI=1 ${cli} status`]: { stdout: JSON.stringify(six) } },
    })
    const result = await converge(up(false), host)
    expect(host.ran).toEqual([])
    expect(result).toMatchObject({ state: 'missed', exit: 3 })
    expect(result.saw).toMatch(
      /an IPv6 address alone \(fd7a:115c:a1e0::1\), and the gateway needs one of IPv4\. .*disable-ipv4/,
    )
  })

  it('is the miss of status.ts, too', () => {
    expect(upFinding({ state: 'Running', variants: [], health: [], ipv6: 'fd7a::1' }, { system: 'mac' })).toMatchObject(
      {
        is: 'missed',
        saw: expect.stringContaining('IPv6 address alone'),
        remedy: expect.stringContaining('disable-ipv4'),
      },
    )
  })
})

/** As the real one says it: the words it was given come first (cmd/tailscale/cli/up.go). */
const reverts = (flags: string) =>
  `Error: changing settings via 'tailscale up' requires mentioning all\nnon-default flags. To proceed, either re-run your command with --reset or\nuse the command below to explicitly mention the current value of\nall non-default settings:\n\n\ttailscale up ${flags}\n\n`

describe('settings of one’s own', () => {
  it.each(['Stopped', 'NoState', 'Starting'])('are left alone by a bare `up` from %s', async (state) => {
    const host = stays(state, 'context canceled')
    const result = await converge(up(true), host)
    expect(host.ran).toEqual([`env TAILSCALE_BE_CLI=1 ${cli} up`])
    expect(result.saw).toMatch(/^Tailscale did not connect within 10 minutes; /)
  })

  it('in the way of a login are named in one sentence, with the command that keeps them', async () => {
    const flags = '--exit-node=100.64.0.9 --login-server=https://hs.example.net --ssh'
    const result = await converge(up(false), stays('NeedsLogin', reverts(`--timeout=2m0s ${flags}`)))
    expect(result).toMatchObject({ state: 'missed', exit: 3, remedy: undefined })
    expect(result.saw).toBe(
      `Tailscale has settings of your own, which a login from here would have to repeat; log in from its menu (or run \`tailscale up ${flags}\`), and run install.ts again.`,
    )
  })
})

describe('the app’s extension', () => {
  it.each([
    [[14, 7], 'System Settings > Privacy & Security'],
    [[15, 6], 'System Settings > General > Login Items & Extensions'],
  ])('is allowed on macOS %j in %s', async (version, where) => {
    const host = stays('unreachable', '')
    host.files.set('/Applications/Tailscale.app', '')
    host.commands.open = {}
    const said: string[] = []
    await converge(
      up(true, version, (text) => said.push(text)),
      host,
    )
    expect(said.join('\n')).toContain(where)
  })
})
