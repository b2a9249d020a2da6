import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import { noAnswers, type Setup } from '../site/setup.ts'
import type { Check, Finding } from '../steps/step.ts'
import { models } from './models.ts'
import { observer } from './observer.ts'
import type { Part } from './part.ts'
import { power } from './power.ts'
import { system } from './system.ts'
import { writable } from './writable.ts'

const stable = '/opt/homebrew/opt/haproxy/bin/haproxy'
const cellar = (version: string) => `/opt/homebrew/Cellar/haproxy/${version}/bin/haproxy`

/** What a check of a part says on this machine; undefined when the part has no such check. */
async function says(part: Part, id: string, look: Look, yaml = ''): Promise<Finding | undefined> {
  const machine = { system: 'mac' } as Machine
  const setup = {
    ...{ mode: 'proxy', settings: parseSettings(yaml, 'settings.yaml'), programs: { haproxy: stable, ollama: '' } },
    answers: noAnswers,
  } as Setup
  const all: Check[] = part === observer ? [] : part.steps(machine, setup)
  return [...all, ...(part.checks?.(machine, setup) ?? [])].find((check) => check.id === id)?.check(look)
}

describe('the application firewall', () => {
  const tool = '/usr/libexec/ApplicationFirewall/socketfilterfw'
  const listing = (...apps: string[]) =>
    memoryHost({
      files: new Map([[tool, '']]),
      commands: {
        [`${tool} --getglobalstate`]: { stdout: 'Firewall is enabled. (State = 1)' },
        [`${tool} --listapps`]: { stdout: apps.map((app, at) => `${at + 1} : ${app} \n   (Allow incoming`).join('\n') },
        'readlink -f': { stdout: `${cellar('3.4.8')}\n` },
      },
    })
  const firewall = (...apps: string[]) => says(power, 'firewall.haproxy', listing(...apps))

  it('that knows this HAProxy lets it in', async () => {
    expect(await firewall(cellar('3.4.8'))).toMatchObject({ is: 'ok' })
  })

  it('that knows the one before an upgrade is named as that, with the command', async () => {
    expect(await firewall(cellar('3.4.7'))).toEqual({
      is: 'advice',
      saw: expect.stringContaining('as it was before an upgrade'),
      remedy: `sudo ${tool} --add ${stable} && sudo ${tool} --unblockapp ${stable}`,
    })
  })

  it('that knows none asks at the screen', async () => {
    expect(await firewall()).toMatchObject({ is: 'advice', saw: expect.not.stringContaining('upgrade') })
  })
})

describe('a home folder', () => {
  const named = async (home: string) =>
    system
      .steps({ home, system: 'mac' } as Machine, {} as Setup)
      .find(({ id }) => id === 'system.home-name')
      ?.check(memoryHost())

  it.each(["'", '"', '#', ',', '(', ')', '\\', '\t', '\n', '$', '%', '{', ']', '`'])(
    'with %j in its path is refused',
    async (letter) => {
      expect(await named(`/Users/a${letter}da`)).toMatchObject({ is: 'missed' })
    },
  )

  it.each(['/Users/ada', '/Users/Ada Lovelace', '/Volumes/Data-2/ada_l.x', '/Users/žofie', `/Users/${'x'.repeat(60)}`])(
    'at %s is taken',
    async (home) => expect(await named(home)).toMatchObject({ is: 'ok' }),
  )

  it('whose path is too long for a socket below it is refused', async () => {
    expect(await named(`/Users/${'x'.repeat(61)}`)).toMatchObject({
      is: 'missed',
      saw: expect.stringContaining('68 bytes'),
    })
    expect(await named(`/Users/${'ž'.repeat(31)}`)).toMatchObject({ is: 'missed' })
  })
})

describe('a folder of ours', () => {
  /** A machine with these folders: who owns them, and whether this user may write there. */
  const told = (folders: Record<string, [uid: number, open: boolean]>) => {
    const host = memoryHost()
    const query = async (argv: string[]) => {
      const path = argv.find((word) => word.startsWith('/')) ?? ''
      const yes = argv[1] === '-e' ? path in folders : folders[path]?.[1]
      return { code: yes ? 0 : 1, stdout: '', stderr: '' }
    }
    const stat = async (path: string) =>
      folders[path] && ({ kind: 'folder', mode: 0o755, uid: folders[path][0], size: 0 } as const)
    return writable('x', 'x', { uid: 501 } as Machine, [
      '/Users/ada/Library/LaunchAgents',
      '/Users/ada/.haproxy',
    ]).check({
      ...host,
      home: '/Users/ada',
      query,
      stat,
    })
  }
  const home = { '/Users/ada': [501, true] } as const

  it.each<[string, Record<string, [number, boolean]>, object]>([
    [
      'that is not there yet comes into one that is',
      { ...home, '/Users/ada/Library': [501, true] } as never,
      { is: 'ok' },
    ],
    [
      'of root’s: the command that gives it back',
      { ...home, '/Users/ada/.haproxy': [0, false], '/Users/ada/Library': [501, true] } as never,
      {
        is: 'missed',
        saw: '~/.haproxy is another user’s',
        remedy: `sudo chown -R "$(id -un)" '/Users/ada/.haproxy' && chmod u+rwx '/Users/ada/.haproxy'`,
      },
    ],
    [
      'above which nothing may be made',
      { ...home, '/Users/ada/Library': [501, false] } as never,
      { is: 'missed', saw: '~/Library may not be written', remedy: `chmod u+rwx '/Users/ada/Library'` },
    ],
  ])('%s', async (_what, folders, wanted) => expect(await told(folders)).toMatchObject(wanted))
})

describe('a full disk', () => {
  it.each([
    ['missed', 5e8],
    ['advice', 5e9],
  ])('is %s at %d bytes, and says why Finder shows more', async (is, free) => {
    expect(await says(system, 'system.disk', { ...memoryHost(), free: async () => free })).toMatchObject({
      is,
      remedy: expect.stringMatching(/Finder counts purgeable files as free/),
    })
  })
})

describe('models', () => {
  const fitting = (size: number, loaded: object[] = []) => {
    const host = memoryHost()
    const body = (target: string) => (target === '/api/tags' ? [{ name: 'big:30b', size }] : loaded)
    host.probe = async ({ target }) => ({
      ...{ end: 'complete', status: 200, headers: {}, pieces: [], ms: 1 },
      body: JSON.stringify({ models: body(target) }),
    })
    const setup = { mode: 'proxy', settings: parseSettings('models: [big:30b]', '') } as Setup
    return models.checks?.({ system: 'mac', memory: 64 * 1024 ** 3 } as Machine, setup)[0]?.check(host)
  }

  it('that fit into memory are named', async () => {
    expect(await fitting(9e9, [{ name: 'big:30b', size: 10e9, size_vram: 10e9 }])).toMatchObject({
      is: 'ok',
      saw: 'big:30b',
    })
  })

  it('too large for it, or held by the GPU in part only, are told before somebody waits for them', async () => {
    expect(await fitting(60e9)).toMatchObject({
      is: 'advice',
      saw: expect.stringMatching(/^big:30b takes 60\.0 GB of 68\.7 GB/),
    })
    expect(await fitting(9e9, [{ name: 'other', size: 10e9, size_vram: 6e9 }])).toMatchObject({
      is: 'advice',
      saw: expect.stringMatching(/^of other the GPU holds 60 %: answers are many times slower/),
    })
  })
})

describe('alerts by notification', () => {
  const alerts = (yaml: string) => says(observer, 'alerts.notification', memoryHost(), `alerts: ${yaml}`)

  it('may be dropped by macOS without a word, until one was tried while somebody looked; a webhook is sure', async () => {
    expect(await alerts('{}')).toMatchObject({
      is: 'advice',
      remedy: expect.stringMatching(/alerts\.webhook.*Script Editor/),
    })
    const host = memoryHost()
    host.files.set(`${places(host).state}/notified`, '2026-11-29\n')
    expect(await says(observer, 'alerts.notification', host, '')).toMatchObject({
      is: 'ok',
      saw: expect.stringContaining('2026-11-29'),
    })
  })

  it('beside a webhook need no word, and nobody who wants none gets one', async () => {
    expect(await alerts('{ webhook: "https://example.net/hook" }')).toMatchObject({ is: 'ok' })
    expect(await alerts('{ notification: false }')).toBeUndefined()
  })
})
