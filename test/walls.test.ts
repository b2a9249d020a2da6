import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const files = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'transcripts' || entry.name.startsWith('.')) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? files(path) : [path]
  })

const read = (file: string): string => readFileSync(file, 'utf8')
const product = [...files('lib'), ...readdirSync('.').filter((name) => /^(?!vitest).*\.ts$/.test(name))].filter(
  (file) => /\.ts$/.test(file) && !/\.test\.ts$/.test(file),
)
const source = [...product, ...files('sandbox'), ...files('test')].filter((file) => file.endsWith('.ts'))

describe('the walls of the house', () => {
  it('only lib/host reaches the machine', () => {
    const outside = /from '(zx[^']*|node:fs(\/promises)?|node:net|node:tls|node:https?|node:child_process)'|\bfetch\(/
    // It reads a text, and nothing else.
    const harmless = /import \{ (BlockList, )?isIP \} from 'node:net'/
    const reaches = (file: string) => !file.startsWith('lib/host/') && outside.test(read(file).replace(harmless, ''))
    expect(product.filter(reaches)).toEqual([])
    // What the observer answers on loopback is nothing that a check or a step may use, so it is no part of a Look.
    const from = (name: string) =>
      product.filter((file) => new RegExp(`^import \\{[^}]*\\} from '[./a-z]*/${name}'`, 'm').test(read(file)))
    expect([from('serve.ts'), from('runtime-api.ts')]).toEqual([['lib/observer/serving.ts'], ['lib/host/host.ts']])
  })

  it('nothing above platform/ names what only one system has', () => {
    const words =
      /launchctl|\bbrew\b|\blsof\b|ifconfig|pmset|sysctl|osascript|caffeinate|LaunchAgents|\/Library|\/opt\/homebrew|\/Applications|platform\/mac/
    const above = product.filter((file) => !/^lib\/(platform|host)/.test(file))
    const uncommented = (file: string) => read(file).replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
    expect(above.filter((file) => words.test(uncommented(file)))).toEqual([])
  })

  it('nothing of the product knows that it is tested', () => {
    const words = /sandbox|\bVITEST\b|NODE_ENV|process\.env\.CI\b|process\.platform|vitest|mac\.json/
    expect(product.filter((file) => words.test(read(file)))).toEqual([])
  })

  it('root scripts stay under 60 lines, files under 400', () => {
    expect(
      readdirSync('.').filter(
        (name) =>
          /^(install|test|status|warm-models|uninstall|keys|apply|observer)\.ts$/.test(name) &&
          read(name).split('\n').length > 60,
      ),
    ).toEqual([])
    expect(source.filter((file) => read(file).split('\n').length > 401)).toEqual([])
  })

  it('every optional package of the lock file has its entry, so that npm ci works on a Mac, too', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>
    }
    const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
    const known = new Set(Object.keys(packages).map((path) => path.split('node_modules/').pop()))
    expect(wanted.filter((name) => !known.has(name))).toEqual([])
  })

  it('the lock file names no place to download from', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"/)
  })
})
