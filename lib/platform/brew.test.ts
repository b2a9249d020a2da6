import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { stable, surveyHomebrew } from './brew.ts'

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
    ['Apple silicon’s', [ours], { brew: ours, prefix: '/opt/homebrew' }],
    ['an Intel one', [intels], { prefix: '/opt/homebrew', otherBrew: other }],
    ['both', [intels, ours], { brew: ours, prefix: '/opt/homebrew', otherBrew: other }],
  ])('where there is %s', async (_what, there, found) => {
    const host = memoryHost({ files: new Map(there.map((path) => [path, ''])), commands: prefixes })
    expect(await surveyHomebrew(host)).toEqual({ brew: undefined, ...found })
  })

  it.each([
    [1, { brew: undefined, prefix: '/opt/homebrew', otherBrew: { path: own, prefix: '/Users/ada/brew' } }],
    [0, { brew: own, prefix: '/Users/ada/brew' }],
  ])('in another folder is what Homebrew itself says of that folder (doctor ends with %i)', async (code, found) => {
    const host = memoryHost({ commands: { ...prefixes, 'arch -arm64': { code } } })
    host.find = async ([name]) => (name === 'brew' ? own : undefined)
    expect(await surveyHomebrew(host)).toEqual(found)
  })
})
