import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { checkout } from '../box/paths.ts'

interface Manifest {
  name: string
  version: string
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** Folders of the packages that ours needs to run, and those need. */
function needed(): string[] {
  const words = ['ls', '--omit=dev', '--all', '--parseable']
  const said = execFileSync('npm', words, { cwd: checkout, encoding: 'utf8' })
  return said.split('\n').filter((folder) => folder.includes('/node_modules/'))
}

/** What `npm pack` makes of the checkout, as it would be published; gives its path. */
export function packed(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: checkout,
    encoding: 'utf8',
  })
  const [{ filename = '' } = {}] = JSON.parse(said) as { filename?: string }[]
  return join(folder, basename(filename))
}

/** The same package by another version. */
export function packedAs(version: string, tarball: string, folder: string): string {
  mkdirSync(folder, { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '-C', folder])
  const file = join(folder, 'package/package.json')
  writeFileSync(file, JSON.stringify({ ...manifestOf(join(folder, 'package')), version }))
  const other = join(folder, `${version}.tgz`)
  execFileSync('tar', ['-czf', other, '-C', folder, 'package'])
  return other
}

const plain = (name: string): string => name.replace('/', '+')

/** A registry as files: what npm asks of one for each package of the checkout and for ours, at this address. */
export function placeRegistry(folder: string, tarball: string, address: string): void {
  mkdirSync(folder, { recursive: true })
  const publish = (manifest: Manifest, bytes: Buffer) => {
    const { name, version } = manifest
    const file = `${plain(name)}.tgz`
    const own = { ...manifest, dist: { tarball: `${address}/${encodeURIComponent(file)}` } }
    const whole = { name, 'dist-tags': { latest: version }, versions: { [version]: own } }
    writeFileSync(join(folder, file), bytes)
    writeFileSync(join(folder, plain(name)), JSON.stringify(whole))
  }
  publish(manifestOf(checkout), readFileSync(tarball))
  for (const at of needed()) {
    const bytes = execFileSync('tar', ['-czf', '-', '-C', at, '--transform', 's,^\\.,package,', '.'], {
      maxBuffer: 1024 ** 3,
    })
    publish(manifestOf(at), bytes)
  }
}

/** The program that serves such a folder on 127.0.0.1. */
export const registryProgram = `
const { createServer } = require('http'), { readFile } = require('fs'), [folder, port] = process.argv.slice(1)
createServer(({ url }, answer) =>
  readFile(folder + '/' + decodeURIComponent(url.slice(1)).replace('/', '+'), (error, bytes) =>
    answer.writeHead(error ? 404 : 200).end(bytes))).listen(Number(port), '127.0.0.1', () => console.log('serves'))`
