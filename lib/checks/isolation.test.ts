import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { RawAnswer } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { isolation } from './isolation.ts'

const tailscale = { ipv4: '100.64.0.1', name: 'studio.tail0lab.ts.net' }
const machine = {
  home: '/Users/ada',
  system: 'mac',
  tailscale,
  addresses: [],
  packager: { prefix: '/opt' },
} as unknown as Machine
const setup = { mode: 'proxy', settings: parseSettings('groups: [openai, probe]', 'settings.yaml') } as Setup

test.each([
  [200, 'ok'],
  [401, 'ok'],
  [403, 'ok'],
  [421, 'missed'],
  [400, 'missed'],
  [0, 'missed'],
])(
  'the MagicDNS name is known to a gateway that answers its row with %d: %s, whether the row is open or not',
  async (status, is) => {
    const check = isolation(machine, setup).find(({ id }) => id === 'haproxy.magic-name')
    const answer: RawAnswer = { end: 'complete', status, headers: {}, body: '', pieces: [], ms: 1 }
    expect(await check?.check({ ...memoryHost(), probe: async () => answer })).toMatchObject({ is })
  },
)
