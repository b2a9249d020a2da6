import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

interface Packed {
  path: string
  mode: number
}

let files: Packed[]
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> }

beforeAll(() => {
  const said = execFileSync('npm', ['pack', '--dry-run', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  files = (JSON.parse(said) as { files: Packed[] }[])[0]?.files ?? []
})

const paths = () => files.map(({ path }) => path)

describe('the npm package', () => {
  it('has nothing of the sandbox, no test, and nothing but what runs or is read', () => {
    const foreign = paths().filter(
      (path) => !/^(lib|templates|monitoring)\/|^[\w-]+\.(ts|sh|md|json)$|^LICENSE$/.test(path),
    )
    expect(foreign).toEqual([])
    expect(paths()).toEqual(
      expect.arrayContaining(['Dockerfile', 'compose.yaml', 'start'].map((name) => `templates/container/${name}`)),
    )
    expect(paths().filter((path) => /sandbox|vitest|\.test\.|tsconfig|biome/.test(path))).toEqual([])
  })

  it('has every file that one of its own imports, and imports no package but those that come with it', () => {
    const sources = paths().filter((path) => path.endsWith('.ts'))
    expect(sources).toContain('lib/commands/verbs.ts')
    const imports = sources.flatMap((file) =>
      // What snippets for clients import stands in templates.
      [
        ...readFileSync(file, 'utf8')
          .replaceAll(/`[^`]*`/g, '')
          .matchAll(/(?:\bfrom |\bimport\(|^import )'([^']+)'/gm),
      ].map(([, name = '']) => ({
        file,
        name,
      })),
    )
    const missing = imports.filter(({ file, name }) => {
      if (name.startsWith('.')) return !paths().includes(join(file, '..', name))
      const [scope = '', rest = ''] = name.split('/')
      return (
        !name.startsWith('node:') && !Object.hasOwn(dependencies, scope.startsWith('@') ? `${scope}/${rest}` : scope)
      )
    })
    expect(missing).toEqual([])
    expect(Object.keys(dependencies)).toContain('tsx')
  })

  it('brings its command as a program, under its own name and under the short one', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: Record<string, string> }
    expect(Object.keys(bin)).toEqual(['remote-ollama-proxy', 'rop'])
    for (const path of Object.values(bin)) expect(files.find((file) => file.path === path)?.mode).toBe(0o755)
    expect(files.find(({ path }) => path === 'bootstrap.sh')?.mode).toBe(0o755)
  })
})
