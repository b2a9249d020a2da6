import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import { others, remedyFor } from './other-ollamas.ts'

const machine = {
  ...{ home: '/Users/ada', system: 'mac', uid: 501, user: 'ada', ssh: false },
  packager: { program: '/opt/homebrew/bin/brew', prefix: '/opt/homebrew' },
} as Machine

/** What is found where these listen, as lsof and netstat tell it, with these processes. */
async function found(
  told: { lsof?: string; netstat?: string; ps?: string; system?: string; gateway?: string },
  yaml = '',
) {
  const commands = {
    'launchctl print gui/501/com.ollama': { stdout: '\tpid = 100\n' },
    'launchctl print gui/501/com.ollama.ollama': { code: 113 },
    'launchctl print system': { stdout: `system = {\n\tservices = {\n${told.system ?? ''}\n\t}\n}\n` },
    'lsof -nP -iTCP:11434': { stdout: told.lsof ?? '' },
    'lsof -nP -iTCP:18080': { stdout: told.gateway ?? '' },
    netstat: { stdout: told.netstat ?? '' },
    'ps -wwAo': { stdout: told.ps ?? '' },
  }
  return others(memoryHost({ commands }), machine, parseSettings(yaml, 'settings.yaml'))
}

describe('another Ollama', () => {
  it.each(['*', '100.64.0.1', '[::1]', '[fd7a:115c:a1e0::1]', '127.0.0.1'])('on %s is in the way', async (address) => {
    const lsof = `p100\ncollama\nn127.0.0.1:11434\np7\ncollama\nn${address}:11434\n`
    const ps = '100 1 ada ollama serve\n7 1 ada ollama serve\n'
    expect(await found({ lsof, ps })).toEqual([
      expect.objectContaining({
        what: `ollama (process 7) on ${address.replace(/[[\]]/g, '')}: ollama serve`,
        stop: [['kill', '7']],
      }),
    ])
  })

  it('that listens twice is one', async () => {
    const [other, ...more] = await found({
      lsof: 'p7\ncollama\nn*:11434\nn[::1]:11434\n',
      ps: '7 1 ada ollama serve\n',
    })
    expect([other?.what, more]).toEqual(['ollama (process 7) on * and ::1: ollama serve', []])
  })

  it('on the gateway’s port is in the way, and another program there has a check of its own', async () => {
    const yaml = 'port: 18080\n'
    expect(await found({ gateway: 'p7\ncollama\nn*:18080\n' }, yaml)).toHaveLength(1)
    expect(await found({ gateway: 'p7\ncnode\nn*:18080\n' }, yaml)).toEqual([])
  })

  const netstat = 'tcp4 0 0 127.0.0.1.11434 *.* LISTEN\n'
  it.each([
    [
      'root’s LaunchDaemon',
      { ps: '7 1 root /usr/local/bin/ollama serve\n', system: '\t\t       7      - \tcom.corp.llm' },
      'sudo launchctl bootout system/com.corp.llm; sudo launchctl disable system/com.corp.llm; then run install.ts again.',
    ],
    [
      'root’s Homebrew service',
      { ps: '7 1 root ollama serve\n', system: '\t\t       7      - \thomebrew.mxcl.ollama' },
      'sudo brew services stop ollama; then run install.ts again.',
    ],
    ['another user’s', { ps: '7 1 bob ollama serve\n' }, 'sudo kill 7; then run install.ts again.'],
    [
      'nobody’s that can be seen',
      {},
      'find it with `sudo lsof -nP -iTCP:11434 -sTCP:LISTEN` and stop it there; then run install.ts again.',
    ],
  ])('%s: what its owner types, and no flag that would not help', async (_whose, told, remedy) => {
    const seen = await found({ netstat, ...told })
    expect(seen).toHaveLength(1)
    expect(remedyFor(seen, '--stop-other-ollama')).toBe(remedy)
  })

  it('that can be stopped is left to the flag', async () => {
    const seen = await found({ lsof: 'p7\ncollama\nn*:11434\n', ps: '6 1 ada -zsh\n7 6 ada ollama serve\n' })
    expect(remedyFor(seen, '--stop-other-ollama')).toBe('--stop-other-ollama')
  })
})
