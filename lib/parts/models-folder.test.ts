import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { FileFacts, Look } from '../host/look.ts'
import type { Machine } from '../site/machine.ts'
import { emptyReceipt } from '../site/receipt.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { findModels, folderThere } from './models-folder.ts'

const machine = { home: '/Users/ada', system: 'mac', uid: 501, packager: { prefix: '/opt/homebrew' } } as Machine
const setup = (yaml = '') => ({ settings: parseSettings(yaml, 'settings.yaml'), receipt: emptyReceipt() }) as Setup

const plist = (label: string, models: string) =>
  `<?xml version="1.0"?><plist version="1.0"><dict><key>Label</key><string>${label}</string><key>ProgramArguments</key><array><string>ollama</string></array><key>EnvironmentVariables</key><dict><key>OLLAMA_MODELS</key><string>${models}</string></dict><key>RunAtLoad</key><true/></dict></plist>`
const agents = '/Users/ada/Library/LaunchAgents'
const session = { 'launchctl getenv OLLAMA_MODELS': { stdout: '/Volumes/T7/models\n' } }

const finds = (memory: Parameters<typeof memoryHost>[0], yaml = '') =>
  findModels(memoryHost(memory), machine, setup(yaml))

describe('the models that a person has are found', () => {
  it('by a variable of the session', async () => {
    expect(await finds({ commands: session })).toMatchObject({ folder: '/Volumes/T7/models' })
  })

  it.each(['com.ollama', 'com.me.llm'])('by %s.plist, edited by hand', async (label) => {
    const files = new Map([[`${agents}/${label}.plist`, plist(label, '/Volumes/T7/models/')]])
    expect(await finds({ files })).toMatchObject({ folder: '/Volumes/T7/models' })
  })

  it('by a variable of the terminal', async () => {
    expect(await finds({ commands: { 'printenv OLLAMA_MODELS': { stdout: '/Volumes/T7/models\n' } } })).toEqual({
      folder: '/Volumes/T7/models',
      by: 'a variable of this terminal',
    })
  })

  it.each([
    ['the settings name a folder', { commands: session }, 'models_folder: /Users/Shared/models'],
    [
      'it is the usual one',
      { commands: { 'launchctl getenv OLLAMA_MODELS': { stdout: '/Users/ada/.ollama/models' } } },
      '',
    ],
    ['it is no folder that can be named', { commands: { 'launchctl getenv OLLAMA_MODELS': { stdout: 'models' } } }, ''],
    ['nobody says anything', {}, ''],
  ])('but not where %s', async (_why, memory, yaml) => expect(await finds(memory, yaml)).toBeUndefined())
})

/** A machine with these folders and links, on which `test` tells the same. */
function disk(there: Record<string, string | true>, locked: string[] = []): Look {
  const exists = (path: string): boolean => {
    const entry = there[path]
    return entry === true || path === '/' || (typeof entry === 'string' && exists(entry))
  }
  return {
    ...memoryHost(),
    stat: async (path) =>
      there[path] === undefined
        ? undefined
        : ({ kind: there[path] === true ? 'folder' : 'link', target: there[path] } as FileFacts),
    async query([, flag, path = '']) {
      const good = flag === '-r' ? exists(path) && !locked.includes(path) : exists(path)
      return { code: good ? 0 : 1, stdout: '', stderr: '' }
    },
  }
}
const home = { '/Users': true, '/Users/ada': true, '/Volumes': true } as const
const seen = (look: Look, yaml = '') => folderThere(machine, setup(yaml)).check(look)

describe('the folder of the models', () => {
  it.each([
    ['is there', { ...home, '/Users/ada/.ollama': true, '/Users/ada/.ollama/models': true }, ''],
    ['comes with the first model', home, ''],
    [
      'is on a disk that is connected',
      { ...home, '/Volumes/T7': true, '/Volumes/T7/m': true },
      'models_folder: /Volumes/T7/m',
    ],
    [
      'is a link to one',
      { ...home, '/Users/ada/.ollama': true, '/Users/ada/.ollama/models': '/Volumes/T7', '/Volumes/T7': true },
      '',
    ],
  ] as const)('%s', async (_what, there, yaml) => expect(await seen(disk(there), yaml)).toMatchObject({ is: 'ok' }))

  it('on a disk that is not connected is a miss that names the disk', async () => {
    expect(await seen(disk(home), 'models_folder: /Volumes/T7/ollama/models')).toEqual({
      is: 'missed',
      saw: 'the disk T7 is not connected, and the models are in /Volumes/T7/ollama/models',
      remedy: 'Connect it, or set another folder in settings.yaml (models_folder).',
    })
  })

  it('behind a dead link is a miss that names the link, wherever it stands on the way', async () => {
    for (const link of ['/Users/ada/.ollama/models', '/Users/ada/.ollama'])
      expect(await seen(disk({ ...home, '/Users/ada/.ollama': true, [link]: '/Volumes/T7/x' }))).toEqual({
        is: 'missed',
        saw: `${link.replace('/Users/ada', '~')} leads to /Volumes/T7/x, which is not there`,
        remedy: 'Connect the disk T7, or set another folder in settings.yaml (models_folder).',
      })
  })

  it('that may not be written is a miss with the command', async () => {
    const there = { ...home, '/Volumes/T7': true, '/Volumes/T7/m': true } as const
    expect(await seen(disk(there, ['/Volumes/T7/m']), 'models_folder: /Volumes/T7/m')).toMatchObject({
      is: 'missed',
      remedy: "sudo chown -R $(id -un) '/Volumes/T7/m'",
    })
  })
})
