import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box, Outcome, Running } from '../box/box.ts'
import { putSettings, readyBox } from './installed.ts'
import { packed, packedAs, placeRegistry, registryProgram } from './registry.ts'
import { expectGreen, patience, told } from './witness.ts'

let box: Box
let registry: Running
let tarball: string
const address = 'http://127.0.0.1:4873'

/** The real npx, with a registry in the box: it has what the checkout has, and the package as npm packs it. */
const npx = (...words: string[]): Promise<Outcome> =>
  box.run(['npx', '--yes', `--registry=${address}`, 'remote-ollama-proxy', ...words], { timeoutMs: patience })

beforeAll(async () => {
  box = await readyBox()
  const folder = join(box.dir, 'registry')
  tarball = packed(join(box.dir, 'packed'))
  placeRegistry(folder, tarball, address)
  registry = box.start([process.execPath, '-e', registryProgram, folder, '4873'])
  await registry.expect('serves')
  putSettings(box, 'models: [qwen3:0.6b]\n')
})
afterAll(async () => {
  registry?.kill()
  await box?.close()
})

describe('npx remote-ollama-proxy', () => {
  it('names what can be typed: itself, before there is an install', async () => {
    const { code, stdout, stderr } = await npx('status')
    expect([code, stderr], stdout).toEqual([1, ''])
    expect(stdout).toContain('npx remote-ollama-proxy install')
  })

  it('installs from the packed package alone, and says rop from then on', async () => {
    const outcome = await npx('install', '--yes')
    expectGreen(outcome.code, told(outcome))
    expect(outcome.stdout).toContain('Every day: rop status')
    const status = await box.run([`${box.prefix}/bin/rop`, 'status'], { cwd: '/' })
    expect(status, status.stdout).toMatchObject({ code: 0, stderr: '' })
    expect((await box.run([`${box.prefix}/bin/rop`, 'install', '--yes'], { cwd: '/' })).stdout).toContain(
      'Nothing to do',
    )
  })

  it('is upgraded from a package that is named, with what npm brings for it', async () => {
    copyFileSync(packedAs('7.0.0', tarball, join(box.dir, 'seven')), box.outside('seven.tgz'))
    const options = { cwd: box.home, env: { npm_config_registry: address }, timeoutMs: patience }
    const looked = await box.run([`${box.prefix}/bin/rop`, 'upgrade', '--check', '--from', 'seven.tgz'], options)
    expect(looked).toMatchObject({ code: 1, stdout: expect.stringMatching(/ours +\S+ → 7\.0\.0\n/) })
    const words = ['upgrade', '--yes', '--from', 'seven.tgz']
    const { code, stdout, stderr } = await box.run([`${box.prefix}/bin/rop`, ...words], options)
    expect([0, 5], `${stdout}\n${stderr}`).toContain(code)
    expect((await box.run([`${box.prefix}/bin/rop`, '--version'])).stdout).toBe('remote-ollama-proxy 7.0.0\n')
  })

  it('is needed no more: what it downloaded may go', async () => {
    expect(await box.run(['rm', '-r', `${box.home}/.npm`])).toMatchObject({ code: 0 })
    const status = await box.run([`${box.prefix}/bin/rop`, 'status'], { cwd: '/' })
    expect(status, status.stdout).toMatchObject({ code: 0 })
  })
})
