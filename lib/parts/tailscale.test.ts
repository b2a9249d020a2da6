import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../machine.ts'
import { parseSettings } from '../settings.ts'
import { converge } from '../step.ts'
import type { Setup } from './part.ts'
import { tailscale } from './tailscale.ts'

const cli = '/usr/local/bin/tailscale'

/** A machine that is logged out, and on which nobody opens the address that is shown. */
const loggedOut = () =>
  memoryHost({
    files: new Map([[cli, '']]),
    commands: {
      [`env TAILSCALE_BE_CLI=1 ${cli} status`]: { stdout: '{"BackendState":"NeedsLogin"}' },
      [`env TAILSCALE_BE_CLI=1 ${cli} up`]: {
        code: 1,
        stderr: 'To authenticate, visit: …\ntimeout waiting for Tailscale service to enter a Running state',
      },
    },
  })

const up = (attended: boolean) => {
  const setup = { attended, settings: parseSettings('', 'settings.yaml') } as Setup
  const step = tailscale.steps({} as Machine, setup).find(({ id }) => id === 'tailscale.up')
  if (!step) throw new Error('no such step')
  return step
}

describe('a login that nobody makes', () => {
  it.each([
    [true, 10],
    [false, 2],
  ])('is waited for as long as somebody may come (at a terminal: %s): %i minutes', async (attended, minutes) => {
    const host = loggedOut()
    const result = await converge(up(attended), host)
    expect(host.ran).toEqual([`env TAILSCALE_BE_CLI=1 ${cli} up --timeout=${minutes}m`])
    expect(result).toMatchObject({ state: 'missed', exit: 3, remedy: undefined })
    expect(result.saw).toMatch(new RegExp(`^Nobody logged in to Tailscale within ${minutes} minutes; run `))
  })
})
