import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from './await.ts'
import { installedBox, installs, job, labels, putSettings, readyBox, runningPid, status } from './installed.ts'
import { expectGreen, patience, told } from './witness.ts'

let box: Box
afterAll(() => box?.close())

const brewed = (...words: string[]) =>
  box.run([`${box.prefix}/bin/node`, '--import', 'tsx', ...words], { cwd: checkout, timeoutMs: patience })

/** A root script run by Homebrew's Node says that all is well. */
async function isGreen(): Promise<void> {
  const { code, stdout } = await brewed('status.ts')
  expect(code, stdout).toBe(0)
}

/** Homebrew's next version of a formula; the keg of before is removed, as by default. */
async function upgrade(name: string, version: string): Promise<void> {
  box.mac(({ brew }) => {
    brew.latest[name] = version
  })
  const { code, stderr } = await box.run(['brew', 'upgrade', name])
  expect(code, stderr).toBe(0)
  expect(readdirSync(box.outside(`${box.prefix}/Cellar/${name}`))).toEqual([version])
}

/** Files of the home folder, but for the runs' logs and the tests of our own code, that hold the path of one version. */
function versioned(): string[] {
  const root = box.outside('.')
  const files = readdirSync(root, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
  const paths = files
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/\/(Logs|node_modules)\/|\.test\.ts$/.test(path))
  expect(paths.length).toBeGreaterThan(50)
  return paths.filter((path) => /\/Cellar\/[\w@.-]+\//.test(readFileSync(path, 'latin1')))
}

describe('with Homebrew’s Node', () => {
  beforeAll(async () => {
    box = await readyBox({ mac: { brew: { installed: { node: '22.4.0' } } } })
    putSettings(box, 'models: [qwen3:0.6b]\n')
    const outcome = await brewed('install.ts', '--yes')
    expectGreen(outcome.code, told(outcome))
  })

  it('nothing that is written holds the path of one version', async () => {
    const told = await brewed('-p', 'process.execPath')
    expect(told.stdout).toContain('/Cellar/node/22.4.0/')
    expect(versioned()).toEqual([])
    expect((await job(box, 'com.haproxy.observer'))?.text).toContain(`NODE => ${box.prefix}/opt/node/bin/node`)
  })

  it('`brew upgrade node` leaves status.ts green, and the jobs find the new one', async () => {
    await upgrade('node', '24.9.0')
    await isGreen()
    const before = await runningPid(box, 'com.haproxy.observer')
    await box.run(['launchctl', 'kickstart', '-k', 'gui/501/com.haproxy.observer'])
    await eventually(
      'the observer runs again',
      async () => ![before, undefined].includes((await job(box, 'com.haproxy.observer'))?.pid),
    )
    await eventually('status.ts is green', async () => (await brewed('status.ts')).code === 0)
  })

  it('`brew upgrade ollama` leaves one thing to do, and that helps', async () => {
    await upgrade('ollama', '0.40.0')
    const { results } = JSON.parse((await brewed('status.ts', '--json')).stdout) as {
      results: { id: string; state: string; remedy?: string }[]
    }
    expect(results.filter(({ state }) => state === 'missed')).toMatchObject([
      { id: 'ollama.service', remedy: expect.stringContaining('Run install.ts again') },
    ])
    const again = await brewed('install.ts', '--yes')
    expectGreen(again.code, told(again))
    await isGreen()
  })

  it('another Node, as of nvm, agrees with what Homebrew’s wrote', async () => {
    expect(await status(box)).toMatchObject({ code: 0 })
    expect((await installs(box)).stdout).toContain('Nothing to do')
    await box.close()
  })
})

describe('with another Node, as of nvm', () => {
  it('what it wrote is agreed with by Homebrew’s, which came later', async () => {
    box = await installedBox({ settings: 'models: [qwen3:0.6b]\n' })
    const written = labels.map((label) => box.read(`Library/LaunchAgents/${label}.plist`))
    await box.run(['brew', 'install', 'node'])
    await isGreen()
    expect((await brewed('install.ts', '--yes')).stdout).toContain('Nothing to do')
    expect(labels.map((label) => box.read(`Library/LaunchAgents/${label}.plist`))).toEqual(written)
  })
})
