import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { compiled, packages, stable, surveyHomebrew } from './brew.ts'

describe('a path that outlives an upgrade', () => {
  it.each([
    ['/opt/homebrew/Cellar/node/25.2.1/bin/node', '/opt/homebrew/opt/node/bin/node'],
    ['/opt/homebrew/Cellar/node@22/22.20.0_1/bin/node', '/opt/homebrew/opt/node@22/bin/node'],
    ['/Users/ada/.nvm/versions/node/v22.1.0/bin/node', '/Users/ada/.nvm/versions/node/v22.1.0/bin/node'],
  ])('for %s is %s', (path, lasting) => expect(stable(path)).toBe(lasting))
})

describe('the Homebrew that counts', () => {
  const ours = '/opt/homebrew/bin/brew'
  const intels = '/usr/local/bin/brew'
  const own = '/Users/ada/brew/bin/brew'
  const prefixes = {
    [`${ours} --prefix`]: { stdout: '/opt/homebrew\n' },
    [`${intels} --prefix`]: { stdout: '/usr/local\n' },
    [`${own} --prefix`]: { stdout: '/Users/ada/brew\n' },
    'arch -arm64': { code: 1 },
  }
  const other = { path: intels, prefix: '/usr/local' }

  it.each([
    ['none', [], { prefix: '/opt/homebrew' }],
    ['Apple silicon’s', [ours], { program: ours, prefix: '/opt/homebrew' }],
    ['an Intel one', [intels], { prefix: '/opt/homebrew', other: other }],
    ['both', [intels, ours], { program: ours, prefix: '/opt/homebrew', other: other }],
  ])('where there is %s', async (_what, there, found) => {
    const host = memoryHost({ files: new Map(there.map((path) => [path, ''])), commands: prefixes })
    expect(await surveyHomebrew(host)).toEqual({ program: undefined, ...found })
  })

  it.each([
    [1, { program: undefined, prefix: '/opt/homebrew', other: { path: own, prefix: '/Users/ada/brew' } }],
    [0, { program: own, prefix: '/Users/ada/brew' }],
  ])('in another folder is what Homebrew itself says of that folder (doctor ends with %i)', async (code, found) => {
    const host = memoryHost({ commands: { ...prefixes, 'arch -arm64': { code } } })
    host.find = async ([name]) => (name === 'brew' ? own : undefined)
    expect(await surveyHomebrew(host)).toEqual(found)
  })
})

const brew = '/opt/homebrew/bin/brew'

describe('what Homebrew compiles', () => {
  const ask = `env HOMEBREW_NO_AUTO_UPDATE=1 ${brew}`
  const formula = (name: string, tags: string[], installed: string[] = []) => ({
    name,
    installed: installed.map((version) => ({ version })),
    bottle: tags.length > 0 ? { stable: { files: Object.fromEntries(tags.map((tag) => [tag, {}])) } } : {},
  })
  const says = (...formulae: object[]) =>
    memoryHost({
      commands: {
        [`${ask} deps --union --formula ollama`]: { stdout: 'mlx-c\n' },
        [`${ask} info --json=v2 --formula ollama mlx-c`]: { stdout: JSON.stringify({ formulae, casks: [] }) },
      },
    })

  it.each([
    ['a bottle for this macOS', 14, ['arm64_tahoe', 'arm64_sonoma'], []],
    ['one for an older macOS', 26, ['arm64_sequoia'], []],
    ['one for every Mac', 14, ['all'], []],
    ['only those for newer ones', 14, ['arm64_golden_gate', 'arm64_sequoia'], ['ollama']],
    ['only one with a name from later', 15, ['arm64_mojito'], ['ollama']],
    ['only one with a name from later, on a macOS from later', 28, ['arm64_mojito'], []],
    ['only others’', 27, ['sonoma', 'arm64_linux', 'x86_64_linux'], ['ollama']],
    ['none', 15, [], ['ollama']],
  ])('with %s (macOS %i, %j): %j', async (_what, macos, made, found) => {
    const host = says(formula('ollama', made), formula('mlx-c', ['all']))
    expect(await compiled(host, brew, ['ollama'], macos)).toEqual(found)
  })

  it('counts what is needed, too, unless it is there already', async () => {
    const host = (installed: string[]) => says(formula('ollama', ['all']), formula('mlx-c', [], installed))
    expect(await compiled(host([]), brew, ['ollama'], 14)).toEqual(['mlx-c'])
    expect(await compiled(host(['1.0']), brew, ['ollama'], 14)).toEqual([])
  })

  it.each([{ code: 1 }, { stdout: 'Warning: …' }, { stdout: '{}' }])(
    'is not known when Homebrew says %j',
    async (answer) => {
      const host = says()
      host.commands[`${ask} info`] = answer
      expect(await compiled(host, brew, ['ollama'], 14)).toBeUndefined()
    },
  )
})

it.each([
  ['/cache/api/internal/packages.arm64_tahoe.jws.json\n', true],
  ['', false],
])('Homebrew’s list is new enough when a file of it is (%j): %s', async (found, is) => {
  const host = memoryHost({
    commands: {
      [`${brew} --cache`]: { stdout: '/cache\n' },
      'find /cache/api -name *.jws.json -mtime -7': { stdout: found },
    },
  })
  expect(await packages.recent(host, { program: brew, prefix: '' })).toBe(is)
})

describe('the way back from an upgrade', () => {
  const packager = { program: brew, prefix: '/opt/homebrew' }
  const newer = { name: 'haproxy', kind: 'formula' as const, installed: '3.4.7', current: '3.4.8', pinned: false }
  const back = (files: string[], one: Parameters<typeof packages.back>[2] = newer) =>
    packages.back(memoryHost({ files: new Map(files.map((path) => [path, ''])) }), packager, one)

  it('is the version of before, while that is on the disk', async () => {
    const there = ['/opt/homebrew/Cellar/haproxy/3.4.7/bin/haproxy']
    expect(await back(there)).toContain(
      'brew uninstall --ignore-dependencies haproxy && brew link haproxy && brew pin haproxy && ',
    )
    expect(await back([])).toMatch(/^Homebrew has no earlier version to download, and 3\.4\.7 is not on this machine/)
    expect(await back(there, { ...newer, kind: 'cask' })).toMatch(/no earlier version of an app/)
  })
})

describe('what Homebrew has newer', () => {
  const says = (stdout: string, code = 0) =>
    packages.newer(
      memoryHost({
        commands: { [`env HOMEBREW_NO_AUTO_UPDATE=1 ${brew} outdated --json=v2 --greedy`]: { stdout, code } },
      }),
      { program: brew, prefix: '/opt/homebrew' },
    )

  it('is read from its own report, an app’s version from either form', async () => {
    const report = {
      formulae: [{ name: 'haproxy', installed_versions: ['3.4.6', '3.4.7'], current_version: '3.4.8', pinned: true }],
      casks: [{ name: 'tailscale-app', installed_versions: '1.102.5', current_version: '1.104.0' }],
    }
    expect(await says(JSON.stringify(report))).toEqual([
      { name: 'haproxy', kind: 'formula', installed: '3.4.7', current: '3.4.8', pinned: true },
      { name: 'tailscale-app', kind: 'cask', installed: '1.102.5', current: '1.104.0', pinned: false },
    ])
  })

  it('is not known when it fails or says something else', async () => {
    expect(await says('', 1)).toBeUndefined()
    expect(await says('Error: something')).toBeUndefined()
  })
})
