import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, type PlistValue } from 'plist'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type JobSpec, parseJobPlist, type Refusal, readJob } from './plist.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ldp-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function read(keys: Record<string, PlistValue>): JobSpec | Refusal {
  const path = join(folder, 'job.plist')
  writeFileSync(path, build({ Label: 'com.a', ProgramArguments: ['/bin/echo', 'hi'], ...keys }), { mode: 0o644 })
  return readJob(path, [process.getuid?.() ?? 0])
}

test('what a plist leaves out gets the defaults that launchctl print shows', () => {
  expect(read({})).toEqual({
    path: join(folder, 'job.plist'),
    label: 'com.a',
    program: '/bin/echo',
    args: ['/bin/echo', 'hi'],
    inferredProgram: true,
    runAtLoad: false,
    keepAlive: false,
    throttleSeconds: 10,
    exitTimeoutSeconds: 5,
    environment: {},
    processType: 'Standard',
    sessionTypes: ['Aqua'],
    abandonProcessGroup: false,
    disabled: false,
  })
})

test('a ThrottleInterval of zero is ignored, an ExitTimeOut of zero is kept: it waits for ever', () => {
  expect(read({ ThrottleInterval: 0, ExitTimeOut: 0 })).toMatchObject({ throttleSeconds: 10, exitTimeoutSeconds: 0 })
})

test('a Umask is decimal as an integer and octal as text with a leading zero', () => {
  expect(read({ Umask: 63 })).toMatchObject({ umask: 0o77 })
  expect(read({ Umask: '077' })).toMatchObject({ umask: 0o77 })
})

test('values of the wrong type are passed over', () => {
  const odd = { KeepAlive: 'yes', RunAtLoad: 'true', EnvironmentVariables: { A: 'a', B: 1 }, ExitTimeOut: 'soon' }
  expect(read(odd)).toMatchObject({
    keepAlive: false,
    runAtLoad: false,
    environment: { A: 'a' },
    exitTimeoutSeconds: 5,
  })
})

test('a label that is missing and a root that is no dictionary are refused', () => {
  expect(read({ Label: '' })).toMatchObject({ errno: 110 })
  writeFileSync(join(folder, 'list.plist'), build(['a']))
  expect(readJob(join(folder, 'list.plist'), [process.getuid?.() ?? 0])).toMatchObject({ errno: 109 })
})

test('neither the old brace form nor half a file is a plist', () => {
  // The XML parser also complains to the console before it throws.
  vi.spyOn(console, 'error').mockImplementation(() => {})
  expect(() => parseJobPlist(Buffer.from('{ Label = "com.a"; }'))).toThrow('neither XML nor')
  const whole = build({ Label: 'com.a' })
  expect(() => parseJobPlist(Buffer.from(whole.slice(0, -20)))).toThrow()
  expect(() => parseJobPlist(Buffer.from(whole.replace('</string>', '')))).toThrow()
  expect(() => parseJobPlist(Buffer.from('bplist00 and nonsense'))).toThrow()
})
