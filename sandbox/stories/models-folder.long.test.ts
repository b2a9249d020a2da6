import { afterEach, describe, expect, it } from 'vitest'
import { type Box, namespaces } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, install, installs, readyBox, settingsFile, status } from './installed.ts'

const possible = namespaces()
const why = 'why' in possible ? possible.why : ''

let box: Box
afterEach(() => box?.close())

const disk = '/Volumes/T7'
const names = async () => {
  const { stdout } = await box.run(['curl', '-s', `http://127.0.0.1:${box.enginePort}/api/tags`])
  return (JSON.parse(stdout) as { models: { name: string }[] }).models.map(({ name }) => name)
}

/** A Mac whose models are on a disk of their own. */
async function withDisk(): Promise<void> {
  box = await readyBox()
  await box.run(['mkdir', disk])
}

describe.skipIf(why)(`models on another disk ${why && `(skipped: ${why})`}`, () => {
  it('told by a variable of the session are taken over, and are there after a restart', async () => {
    await withDisk()
    await box.run(['launchctl', 'setenv', 'OLLAMA_MODELS', `${disk}/models`])
    const { stdout } = await installs(box)
    expect(stdout).toContain(`models_folder: ${disk}/models, as told by a variable of the session`)
    expect(box.read(settingsFile)).toContain(`models_folder: ${disk}/models`)
    expect((await status(box)).of('ollama.environment')).toMatchObject({ state: 'ok' })
    const before = await names()
    expect(before).not.toEqual([])
    await box.reboot()
    await answers(box)
    expect(await names()).toEqual(before)
    await eventually('the observer runs', async () => (await status(box)).of('observer.service')?.state === 'ok')
    expect((await install(box)).stdout).toContain('Nothing to do')
  })

  it('on a disk that is not connected: status.ts says so, install.ts changes nothing, and all is well when it is back', async () => {
    await withDisk()
    await box.run(['launchctl', 'setenv', 'OLLAMA_MODELS', `${disk}/models`])
    await installs(box)
    await box.run(['mv', disk, '/tmp/away'])
    const seen = await status(box)
    expect(seen.code).toBe(1)
    expect(seen.of('ollama.models-folder')).toMatchObject({
      state: 'missed',
      saw: `the disk T7 is not connected, and the models are in ${disk}/models`,
    })
    const { code, stderr } = await install(box)
    expect([code, stderr]).toEqual([3, expect.stringMatching(/the disk T7 is not connected.*Connect it, or set/)])
    await box.run(['mv', '/tmp/away', disk])
    await eventually('all is well', async () => (await status(box)).code === 0)
  })

  it('behind a link that leads nowhere: the link is named before anything is changed', async () => {
    box = await readyBox()
    await box.run(['sh', '-c', `rm -rf ~/.ollama/models; mkdir -p ~/.ollama; ln -s ${disk}/models ~/.ollama/models`])
    const { code, stderr } = await install(box)
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/~\/\.ollama\/models leads to \/Volumes\/T7\/models.*Connect the disk T7/),
    ])
    expect(box.exists('.haproxy')).toBe(false)
  })

  it('another folder in the settings is a restart of Ollama, and nothing is moved', async () => {
    await withDisk()
    await installs(box)
    const before = await names()
    box.write(settingsFile, box.read(settingsFile).replace(/^models_folder:.*/m, `models_folder: ${disk}/other`), 0o600)
    const { code, stdout } = await box.script('apply.ts', [])
    expect([code, stdout]).toEqual([0, expect.stringContaining('restart of Ollama')])
    const manifests = async (folder: string) => (await box.run(['sh', '-c', `find ${folder}/manifests -type f`])).stdout
    expect(await manifests(`${disk}/other`)).toContain('qwen3')
    expect(await manifests('~/.ollama/models')).toContain('qwen3')
    box.write(
      settingsFile,
      box.read(settingsFile).replace(/^models_folder:.*/m, 'models_folder: ~/.ollama/models'),
      0o600,
    )
    expect((await box.script('apply.ts', [])).code).toBe(0)
    expect(await names()).toEqual(before)
  })
})
