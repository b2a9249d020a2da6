import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { machine, setup } from '../../test/sample.ts'
import { heldPair, makePair, pairFile } from '../certificates/two-gateways.ts'
import { realHost } from '../host/host.ts'
import { virtualRouter } from '../platform/linux/keepalived.ts'
import type { Address } from '../platform/platform.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { isStep } from '../steps/step.ts'
import { vip } from './vip.ts'

const own: Address = { family: 4, address: '192.168.7.2', device: 'eth0', bits: 24 }
const linux = { ...machine, system: 'linux' as const, addresses: [own] }
const unit = readFileSync(`templates/${virtualRouter.unit}`, 'utf8')
const of = (yaml: string): Setup => ({
  ...setup,
  settings: parseSettings(yaml, 'settings.yaml'),
  jobs: { [virtualRouter.unit]: unit },
})
const address = "vip: { address: '192.168.7.100', interface: eth0, peer: '192.168.7.3', priority: 150 }\n"
const inside = "listeners: { inside: { addresses: ['192.168.7.100'], from: [192.168.7.9] } }\n"
const on = of(address + inside)

interface Around {
  /** whose hardware address answers for an address */
  neighbours?: Record<string, string>
  /** this machine has the address */
  here?: boolean
  /** addresses of ours from which the other gateway is asked in vain */
  unheard?: string[]
  files?: [string, string][]
  /** what HAProxy answers */
  told?: Record<string, string>
}

/** This machine on Linux, as its network sees it. */
const look = ({ neighbours = {}, here = false, unheard = [], files = [], told = {} }: Around = {}) => ({
  ...memoryHost({
    files: new Map(files),
    commands: {
      'curl -s -m 1': { code: 7 },
      ...Object.fromEntries(unheard.map((from) => [`curl -s -m 1 --noproxy * --interface ${from} `, { code: 28 }])),
      'ip -j neigh': {
        stdout: JSON.stringify(Object.entries(neighbours).map(([dst, lladdr]) => ({ dst, lladdr, state: ['STALE'] }))),
      },
      'ip -j address': {
        stdout: JSON.stringify([
          {
            ifname: 'eth0',
            addr_info: ['192.168.7.2', ...(here ? ['192.168.7.100'] : [])].map((local) => ({ family: 'inet', local })),
          },
        ]),
      },
    },
  }),
  system: 'linux' as const,
  ask: async (_socket: string, command: string) => told[command.split(' ').slice(0, 2).join(' ')],
})

const finding = async (id: string, around: Around = {}, at = linux, settings = on) =>
  [...vip.steps(at, settings), ...(vip.checks?.(at, settings) ?? [])].find((one) => one.id === id)?.check(look(around))

const peer = { '192.168.7.3': '02:00:00:00:00:03' }
const theirs = { ...peer, '192.168.7.100': '02:00:00:00:00:03' }
const strange = { ...peer, '192.168.7.100': '02:00:00:00:00:99' }

test('a Mac says in one sentence that it has none, and nothing of it is there unless the settings ask', async () => {
  const [first, ...more] = vip.steps(machine, on)
  expect(more).toEqual([])
  expect([first?.exit, await first?.check(memoryHost())]).toEqual([
    3,
    {
      is: 'missed',
      saw: 'vip needs keepalived, which this system does not have',
      remedy: 'Take vip out of settings.yaml.',
    },
  ])
  for (const here of [machine, linux])
    expect([...vip.steps(here, of('')), ...(vip.checks?.(here, of('')) ?? [])]).toEqual([])
})

test('what is left of it goes when the settings no longer ask', async () => {
  const file = vip.steps(linux, on).find(({ id }) => id === 'vip.conf')
  const host = { ...memoryHost(), system: 'linux' as const }
  if (!file || !isStep(file)) throw new Error('there is no file')
  await file.apply(host)
  host.files.set(pairFile(host), 'a certificate and its key')
  const left = vip.steps(linux, { ...of(''), receipt: on.receipt }).filter(isStep)
  expect(left.map(({ id }) => id)).toEqual(['vip.certificate', 'vip.conf', 'vip.job', 'vip.service'])
  for (const step of left.slice(0, 2)) {
    expect((await step.check(host)).is).toBe('missed')
    await step.apply(host)
    expect((await step.check(host)).is).toBe('skipped')
  }
  expect(host.files.has(pairFile(host))).toBe(false)
  // HAProxy does not start without it as long as it is named.
  expect(left[0]?.needs).toContain('haproxy.config')
})

describe('before anything is changed', () => {
  test.each([
    [
      'a card without an address',
      [{ ...own, device: 'eth1' }],
      'eth0 (vip.interface) has no IPv4 address of this machine',
    ],
    ['another network', [{ ...own, address: '192.168.8.2' }], 'is in no network of eth0, which has 192.168.8.2/24'],
    ['a smaller network', [{ ...own, bits: 26 }], 'is in no network of eth0, which has 192.168.7.2/26'],
  ])('%s is refused', async (_what, addresses: Address[], saw) => {
    const at = { ...linux, addresses }
    expect(await finding('vip.interface', {}, at)).toMatchObject({ is: 'missed', saw: expect.stringContaining(saw) })
    expect(vip.steps(at, on).find(({ id }) => id === 'vip.interface')?.exit).toBe(3)
  })

  test('its network is', async () => {
    expect((await finding('vip.interface'))?.is).toBe('ok')
  })

  test('an address that no listener has would answer nobody', async () => {
    expect((await finding('vip.listener'))?.is).toBe('ok')
    expect((await finding('vip.listener', {}, linux, of(address)))?.is).toBe('missed')
  })

  test.each([
    ['nobody', {}, 'ok'],
    ['the other gateway', { neighbours: theirs }, 'ok'],
    ['this one', { here: true }, 'ok'],
    ['a stranger', { neighbours: strange }, 'missed'],
    ['a stranger, while the other gateway is off', { neighbours: { '192.168.7.100': '02:00:00:00:00:99' } }, 'missed'],
  ] as const)('an address that %s has: %j is %s', async (_who, around, is) => {
    expect((await finding('vip.free', around))?.is).toBe(is)
  })

  test('an other gateway that is off is advice', async () => {
    expect((await finding('vip.peer', { neighbours: peer }))?.is).toBe('ok')
    expect((await finding('vip.peer'))?.is).toBe('advice')
  })
})

describe('once it runs', () => {
  test.each([
    ['this one', { here: true, neighbours: peer }, 'ok', 'this gateway has 192.168.7.100'],
    ['the other', { neighbours: theirs }, 'ok', 'the other gateway (192.168.7.3) has 192.168.7.100'],
    ['nobody', { neighbours: peer }, 'missed', 'nobody has 192.168.7.100'],
    ['a stranger', { neighbours: strange }, 'missed', 'another machine (02:00:00:00:00:99) has 192.168.7.100'],
    [
      'both, so that the other drops what comes from it',
      { here: true, neighbours: peer, unheard: ['192.168.7.100'] },
      'missed',
      'both gateways have 192.168.7.100',
    ],
    [
      'this one, and the other answers nothing at all',
      { here: true, neighbours: peer, unheard: ['192.168.7.100', '192.168.7.2'] },
      'ok',
      'this gateway has 192.168.7.100',
    ],
  ] as [string, Around, string, string][])('%s has it', async (_who, around, is, saw) => {
    expect(await finding('vip.held', around)).toMatchObject({ is, saw })
  })

  test('somebody who has it a moment later is waited for', async () => {
    const host = look({ neighbours: peer })
    const rows = (known: Record<string, string>) =>
      JSON.stringify(Object.entries(known).map(([dst, lladdr]) => ({ dst, lladdr, state: ['STALE'] })))
    let asked = 0
    host.commands['ip -j neigh'] = () => ({ stdout: rows(++asked > 5 ? theirs : peer) })
    const found = vip.checks?.(linux, on).find(({ id }) => id === 'vip.held')
    expect(await found?.check(host)).toMatchObject({ is: 'ok', saw: expect.stringContaining('(192.168.7.3) has') })
  })

  test('a gateway that is not connected to the other is advice, and no miss', async () => {
    const peers = (state: string) => ({ told: { 'show peers': `  0x1: id=gateway-192.168.7.3(remote,${state}` } })
    expect((await finding('vip.peers', peers('active) last_status=ESTA')))?.is).toBe('ok')
    for (const state of ['active) last_status=CONN', 'inactive) last_status=ESTA'])
      expect(await finding('vip.peers', peers(state))).toMatchObject({
        is: 'advice',
        saw: 'the gateways are not connected (port 11438 of 192.168.7.3), so each counts for itself',
      })
  })

  test('a worker that still shows another certificate than the file has is to reload', async () => {
    const home = mkdtempSync(join(tmpdir(), 'vip-'))
    const host = { ...realHost(), system: 'mac' as const, home }
    await makePair(host)
    const held = await heldPair(host)
    rmSync(home, { recursive: true })
    const files: [string, string][] = [[pairFile({ ...host, system: 'linux' }), held?.text ?? '']]
    const serial = (number?: string) => ({ files, told: { 'show ssl': `Serial: ${number}\n` } })
    expect((await finding('vip.certificate', serial(held?.serial)))?.is).toBe('ok')
    expect(await finding('vip.certificate', serial('0A1B'))).toMatchObject({
      is: 'missed',
      saw: 'the running worker has another, A1B',
    })
    expect((await finding('vip.certificate', { files }))?.is).toBe('missed')
  })

  test('a weight that somebody writes into the file is found', async () => {
    const file = '/var/lib/remote-ollama-proxy/state/keepalived.conf'
    expect((await finding('vip.weight', { files: [[file, 'fall 2\n    weight -20\n']] }))?.is).toBe('missed')
    expect((await finding('vip.weight', { files: [[file, 'fall 2\n']] }))?.is).toBe('ok')
  })
})
