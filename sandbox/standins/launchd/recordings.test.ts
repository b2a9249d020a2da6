import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { differences } from '../../real-mac/recorder/compare.ts'
import { type LaunchdRecording, recordLaunchd } from '../../real-mac/recorder/launchd.ts'
import { type Recorded, readRecording, writeRecording } from '../../real-mac/recorder/recording.ts'
import { bundleStandins, openTestBox } from './testbox.ts'

const transcripts = fileURLToPath(new URL('../../transcripts/launchd/', import.meta.url))
const versions = readdirSync(transcripts, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

let folder: string
let file: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ldr-'))
  file = await bundleStandins(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const label = 'org.example.recorded'

/** Records the stand-in of a macOS version, as the recorder does on a Mac. */
async function recorded(macos: string, launchd: object = {}): Promise<LaunchdRecording & { left: string[] }> {
  const box = await openTestBox(file, { macos, launchd: { throttleMs: 3000, ...launchd } })
  try {
    const ground = { launchctl: box.launchctl, uid: 501, home: box.home, label, disables: true }
    const recording = await recordLaunchd(ground)
    return { ...recording, left: readdirSync(join(box.home, 'Library/LaunchAgents')) }
  } finally {
    await box.close()
  }
}

// Each folder is a recording of a real Mac, by its macOS version; see the README there.
describe.skipIf(versions.length === 0)(
  `the stand-in answers as recorded on a Mac${versions.length === 0 ? ' (none was recorded yet)' : ''}`,
  () => {
    test.each(versions.length > 0 ? versions : ['none'])('with macOS %s', async (version) => {
      const mac = readRecording(join(transcripts, version))
      expect(differences(mac, (await recorded(version)).recorded)).toEqual([])
    })
  },
)

type Whole = Awaited<ReturnType<typeof recorded>>

describe('a recording', () => {
  let first: Whole
  let again: Whole
  let otherwise: Whole
  beforeAll(async () => {
    const knobs = { alreadyLoadedCode: 37, disabledCode: 119 }
    // Beside each other, since a recording waits for most of its time.
    ;[first, again, otherwise] = await Promise.all([recorded('26.5.1'), recorded('26.5.1'), recorded('26.5.1', knobs)])
  })
  const changed = (name: string, change: Partial<Recorded>) =>
    first.recorded.map((one) => (one.name === name ? { ...one, ...change } : one))

  test('asks what the stand-in rests on, and leaves no file', () => {
    const exits = Object.fromEntries(first.recorded.map(({ name, exit }) => [name, exit]))
    expect(exits).toMatchObject({
      'bootstrap.fresh': 0,
      'bootstrap.loaded': 5,
      'bootstrap.dying': 5,
      'bootstrap.disabled': 5,
      'bootstrap.0664': 5,
      'bootstrap.bad-xml': 5,
      'bootstrap.no-program': 5,
      'bootout.loaded': 0,
      'bootout.unknown': 3,
      'print.dying': 0,
      'print.unknown': 113,
      'kill.ended': 3,
    })
    const printed = (name: string) => first.recorded.find((one) => one.name === name)?.stdout
    expect(printed('print.dying')).toContain('\tstate = SIGTERMed\n')
    expect(printed('print.throttled')).toContain('\tstate = spawn scheduled\n')
    expect(printed('print.running')).toMatch(/\tpid = N\n/)
    expect(first.left).toEqual([])
    // What is left of two seconds, when a busy machine has answered the questions before it.
    expect(first.timings['gone after a slow end']).toBeGreaterThan(0)
  })

  test('is the same from its folder, and when it is made again', () => {
    const written = join(folder, 'written')
    writeRecording(written, first.recorded)
    expect(existsSync(join(written, 'print.running.txt'))).toBe(true)
    expect(readRecording(written)).toEqual(first.recorded)
    expect(differences(readRecording(written), again.recorded)).toEqual([])
  })

  test('of a Mac that answers otherwise is told apart, by case and in words', () => {
    const other = (name: string, change: Partial<Recorded>) => differences(changed(name, change), first.recorded)
    expect(other('bootstrap.loaded', { exit: 37 })).toEqual([
      'bootstrap.loaded (loaded and running): exit code 37 on the Mac, 5 here',
    ])
    expect(other('bootout.unknown', { stderr: 'gone\n' })[0]).toContain('says "gone\\n" on the Mac')
    const [print = ''] = first.recorded.filter(({ name }) => name === 'print.running').map(({ stdout }) => stdout)
    const more = print.replace('\tcpumon = default\n', '').replace('\tstate = running', '\tstate = waiting')
    expect(other('print.running', { stdout: more })).toEqual([
      'print.running (running): the Mac prints no "cpumon"',
      'print.running (running): state: waiting on the Mac, running here',
    ])
    expect(other('print.running', { stdout: `${print}\tnew field = 1\n` })).toEqual([])
    expect(differences([...first.recorded, { ...first.recorded[0], name: 'new' } as Recorded], first.recorded)).toEqual(
      [`new (${first.recorded[0]?.when}): the recorder does not ask this any more`],
    )
  })

  test('shows the knobs of a stand-in that differs', () => {
    expect(differences(first.recorded, otherwise.recorded).map((line) => line.split(' ')[0])).toEqual(
      expect.arrayContaining(['bootstrap.loaded', 'bootstrap.disabled']),
    )
  })
})
