import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { packages, runtimeVersion } from './runtime.ts'

/** A machine with these packages, by folder: what each asks for. */
function machineWith(folders: Record<string, Record<string, string>>) {
  const entries = Object.entries(folders).map(([folder, dependencies]): [string, string] => [
    `${folder}/package.json`,
    JSON.stringify({ version: '1.0.0', dependencies }),
  ])
  return memoryHost({ files: new Map(entries) })
}

const goes = async (host: ReturnType<typeof memoryHost>, from: string) =>
  Object.fromEntries((await packages(host, from)).map(({ from, to }) => [from, to]))

describe('the packages of the copy that jobs run', () => {
  it('are found below a checkout, and those that nobody asks for stay behind', async () => {
    const host = machineWith({
      '/src': { zx: '8' },
      '/src/node_modules/zx': { chalk: '5' },
      '/src/node_modules/chalk': {},
      '/src/node_modules/vitest': {},
    })
    expect(await goes(host, '/src')).toEqual({
      '/src/node_modules/zx': '/node_modules/zx',
      '/src/node_modules/chalk': '/node_modules/chalk',
    })
  })

  it('are found beside an installed package, where npm puts them', async () => {
    const host = machineWith({
      '/n/node_modules/ours': { '@a/b': '1', absent: '1' },
      '/n/node_modules/@a/b': { zx: '8' },
      '/n/node_modules/zx': { '@a/b': '1' },
    })
    expect(await goes(host, '/n/node_modules/ours')).toEqual({
      '/n/node_modules/@a/b': '/node_modules/@a/b',
      '/n/node_modules/zx': '/node_modules/zx',
    })
  })

  it('keep apart what two of them want in two versions', async () => {
    const host = machineWith({
      '/n/node_modules/ours': { zod: '4', old: '1' },
      '/n/node_modules/ours/node_modules/zod': {},
      '/n/node_modules/zod': {},
      '/n/node_modules/old': { zod: '3' },
    })
    expect(await goes(host, '/n/node_modules/ours')).toEqual({
      '/n/node_modules/ours/node_modules/zod': '/node_modules/zod',
      '/n/node_modules/old': '/node_modules/old',
      '/n/node_modules/zod': '/node_modules/old/node_modules/zod',
    })
  })

  it('are part of the name of the copy: a newer one of them makes another copy', async () => {
    const host = machineWith({ '/src': { zx: '8' }, '/src/node_modules/zx': {} })
    const before = await runtimeVersion(host, '/src')
    expect(before).toMatch(/^1\.0\.0-[0-9a-f]{8}$/)
    host.files.set('/src/node_modules/zx/package.json', '{"version":"1.0.1"}')
    expect(await runtimeVersion(host, '/src')).not.toBe(before)
  })
})
