import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { ownFrom } from './own-upgrade.ts'
import { due, standings } from './upgrades.ts'

const brew = '/opt/homebrew/bin/brew'
const entry = (name: string, pinned = false) => ({
  name,
  installed_versions: ['1.0'],
  current_version: '2.0',
  pinned,
})

/** How things stand on a machine with these. */
async function stand(at: { variants: string[]; ollama?: string; mode?: string; pinned?: boolean; says?: string }) {
  const report = {
    formulae: [entry('haproxy', at.pinned), entry('ollama'), entry('tailscale')],
    casks: [entry('tailscale-app')],
  }
  const outdated = `env HOMEBREW_NO_AUTO_UPDATE=1 ${brew} outdated --json=v2 --greedy`
  const host = memoryHost({ commands: { [outdated]: { stdout: at.says ?? JSON.stringify(report) } } })
  const machine = {
    home: '/Users/ada',
    system: 'mac',
    packager: { program: brew, prefix: '/opt/homebrew' },
    tailscale: { variants: at.variants },
  } as Machine
  const setup = {
    mode: at.mode ?? 'proxy',
    settings: parseSettings('', 'settings.yaml'),
    programs: { ollama: at.ollama ?? '/opt/homebrew/opt/ollama/bin/ollama', haproxy: 'haproxy', node: 'node' },
  } as Setup
  return standings(host, machine, setup)
}

describe('what an upgrade touches', () => {
  it('is what the package manager brought, the way to this machine last', async () => {
    const all = await stand({ variants: ['standalone'] })
    expect(due(all, []).map(({ newer }) => newer.name)).toEqual(['haproxy', 'ollama', 'tailscale-app'])
    expect(due(all, ['ollama']).map(({ newer }) => newer.name)).toEqual(['ollama'])
  })

  it('is not what updates itself, is held, or is not used', async () => {
    const app = '/Applications/Ollama.app/Contents/Resources/ollama'
    const all = await stand({ variants: ['appstore'], ollama: app, pinned: true })
    expect(due(all, [])).toEqual([])
    expect(all.map(({ left }) => left)).toEqual([
      'you hold it at 1.0',
      'the app updates itself from its menu',
      'the App Store updates it',
    ])
    expect((await stand({ variants: [], mode: 'local' }))[0]?.left).toContain('not used')
  })

  it('of Tailscale’s daemon is told how it begins anew, since no upgrade does that', async () => {
    const [, , tailscale] = await stand({ variants: ['formula'] })
    expect([tailscale?.newer?.name, tailscale?.effect]).toEqual([
      'tailscale',
      expect.stringContaining('sudo brew services restart tailscale'),
    ])
  })

  it('is not guessed when the package manager says nothing', async () => {
    await expect(stand({ variants: [], says: 'Error: No such file' })).rejects.toThrow(/does not say what is newer/)
  })
})

describe('another version of ours', () => {
  it.each([
    ['/nowhere', /neither a folder of remote-ollama-proxy nor a package/],
    ['/other', /neither a folder of remote-ollama-proxy nor a package/],
    ['/bare', /has no packages yet; run `npm ci --omit=dev` in it/],
  ])('in %s is refused', async (path, words) => {
    const files = new Map([
      ['/other/package.json', '{"name":"other"}'],
      ['/bare/package.json', '{"name":"remote-ollama-proxy","version":"2.0.0"}'],
    ])
    const host = memoryHost({ files })
    const { stat } = host
    host.stat = (file) => stat(file.replace(/\/\.$/, ''))
    await expect(ownFrom(host, path)).rejects.toThrow(words)
  })
})
