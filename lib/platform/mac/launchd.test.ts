import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import { agentText, differences, fillAgent, jobs, type Printed, parseAgent, parsePrint } from './launchd.ts'

const print = `gui/501/com.ollama = {
	active count = 1
	path = /Users/me/Library/LaunchAgents/com.ollama.plist
	type = LaunchAgent
	state = running

	program = /opt/homebrew/opt/ollama/bin/ollama
	arguments = {
		/opt/homebrew/opt/ollama/bin/ollama
		serve
	}

	environment = {
		OLLAMA_HOST => 127.0.0.1:11434
		XPC_SERVICE_NAME => com.ollama
	}

	exit timeout = 30
	runs = 1
	pid = 4242
	last exit code = 78: EX_CONFIG

	endpoints = {
		state = active
	}

	spawn type = interactive (4)
	resource limits = {
		maxfiles (soft) => 8192
	}

	properties = keepalive | runatload | inferred program
}
`

const job = (changes: Partial<Printed> = {}): Printed => ({ ...parsePrint(print), ...changes })
const agent = {
  Label: 'com.ollama',
  ProgramArguments: ['/opt/homebrew/opt/ollama/bin/ollama', 'serve'],
  EnvironmentVariables: { OLLAMA_HOST: '127.0.0.1:11434' },
  RunAtLoad: true,
  KeepAlive: true,
  ProcessType: 'Interactive',
  ExitTimeOut: 30,
  SoftResourceLimits: { NumberOfFiles: 8192 },
}

describe('launchctl print', () => {
  it('is read by the lines of one tab, not by those of sub-blocks', () => {
    expect(parsePrint(print)).toMatchObject({
      state: 'running',
      pid: 4242,
      lastExit: 78,
      exitTimeOut: 30,
      maxFiles: 8192,
      spawnType: 'interactive (4)',
    })
    expect(parsePrint(print).arguments).toEqual(['/opt/homebrew/opt/ollama/bin/ollama', 'serve'])
  })

  it('takes "(never exited)" for no exit', () => {
    expect(parsePrint(print.replace('78: EX_CONFIG', '(never exited)')).lastExit).toBeUndefined()
  })

  it('of a job that runs as written differs in nothing', () => {
    expect(differences(agent, job())).toEqual([])
  })

  it.each([
    ['arguments', { arguments: ['/usr/bin/ollama', 'serve'] }],
    ['OLLAMA_HOST', { environment: { OLLAMA_HOST: '0.0.0.0' } }],
    ['KeepAlive', { properties: ['runatload'] }],
    ['RunAtLoad', { properties: ['keepalive'] }],
    ['ProcessType', { spawnType: 'daemon (3)' }],
    ['ExitTimeOut', { exitTimeOut: 5 }],
    ['NumberOfFiles', { maxFiles: 256 }],
  ])('shows a job with another %s', (name, changes) => {
    expect(differences(agent, job(changes))).toEqual([name])
  })
})

describe('a property list from a template', () => {
  const template = readFileSync('templates/com.ollama.plist', 'utf8')

  it('cannot be broken by a value', () => {
    const filled = fillAgent(template, { host: '</string><key>x</key>&', bin: '/b', ollama: '/o' })
    expect(parseAgent(agentText(filled))?.EnvironmentVariables?.OLLAMA_HOST).toBe('</string><key>x</key>&')
  })

  it('starts at login, is kept alive, runs at full speed and keeps its logs out of /tmp', () => {
    const filled = fillAgent(template, { logs: '/Users/ada/Library/Logs/x' })
    expect(filled).toMatchObject({ Label: 'com.ollama', RunAtLoad: true, KeepAlive: true, ProcessType: 'Interactive' })
    expect(filled.EnvironmentVariables).toMatchObject({ OLLAMA_NO_CLOUD: '1' })
    expect(agentText(filled)).not.toContain('/tmp')
  })

  it('that someone broke is no property list', () => {
    expect(parseAgent('<plist><dict><key>Label</key>')).toBeUndefined()
  })
})

describe('loading a job', () => {
  it('goes on when launchd answers 5 because the old process is still dying', async () => {
    let tries = 0
    const host = memoryHost({
      commands: {
        'launchctl bootstrap': () => ({ code: ++tries < 3 ? 5 : 0 }),
        'launchctl print': () => ({ code: tries < 3 ? 113 : 0, stdout: '\truns = 1\n' }),
      },
    })
    await jobs({ home: '/Users/ada', system: 'mac', uid: 501 }).load(host, 'com.ollama')
    expect(tries).toBe(3)
  })

  it('fails with the words of launchctl when it never loads', async () => {
    const host = memoryHost({
      commands: {
        'launchctl bootstrap': { code: 5, stderr: 'Bootstrap failed: 5: Input/output error' },
        'launchctl print': { code: 113 },
      },
    })
    await expect(jobs({ home: '/Users/ada', system: 'mac', uid: 501 }).load(host, 'com.ollama')).rejects.toThrow(
      'Bootstrap failed: 5',
    )
  })

  it('is over only when print no longer knows the label', async () => {
    let prints = 0
    const host = memoryHost({
      commands: { 'launchctl bootout': { code: 0 }, 'launchctl print': () => ({ code: ++prints < 3 ? 0 : 113 }) },
    })
    await jobs({ home: '/Users/ada', system: 'mac', uid: 501 }).unload(host, 'com.ollama', 1000)
    expect(prints).toBe(3)
  })

  it.each([
    ['\t"com.ollama" => disabled', true],
    ['\t"com.ollama" => true', true],
    ['\t"com.ollama" => enabled', false],
    ['\t"com.ollama.ollama" => disabled', false],
  ])('reads %s in both dialects', async (line, disabled) => {
    const host = memoryHost({
      commands: { 'launchctl print-disabled': { stdout: `\n\tdisabled services = {\n${line}\n\t}\n` } },
    })
    expect(await jobs({ home: '/Users/ada', system: 'mac', uid: 501 }).disabled(host, 'com.ollama')).toBe(disabled)
  })
})
