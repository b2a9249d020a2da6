import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { places } from '../platform/mac/places.ts'
import { clocksApart } from './pair.ts'
import { receiving } from './pair-ssh.ts'

const folder = mkdtempSync(join(tmpdir(), 'pair-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The other machine, whose rop writes down what it was told and what it was given, and ends with a code. */
function there(code: number): { code: number; said: string } {
  const said = join(folder, 'said')
  for (const [name, text] of [
    ['rop', `#!/bin/sh\n{ echo "$1 $3 $4"; stat -c %a "$2"; cat "$2"; } >'${said}'\nexit ${code}\n`],
    ['sudo', '#!/bin/sh\nshift\nexec "$@"\n'],
  ] as const) {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), 0o755)
  }
  const env = { PATH: `${folder}:/usr/bin:/bin`, TMPDIR: folder }
  try {
    execFileSync('sh', ['-c', receiving], { input: '{"a":1}', env })
    return { code: 0, said: readFileSync(said, 'utf8') }
  } catch (error) {
    return { code: (error as { status: number }).status, said: readFileSync(said, 'utf8') }
  }
}

test.each([0, 5, 2])(
  'the other gateway is given all of it in a file for its owner alone, and says how it went: %d',
  (code) => {
    expect(there(code)).toEqual({ code, said: 'restore --pair --yes\n600\n{"a":1}' })
    expect(readdirSync(folder).sort()).toEqual(['rop', 'said', 'sudo'])
  },
)

test.each([
  ['says nothing of it', 'Ubuntu 24.04\n', 0],
  ['is within what cannot be told', 'clock 1002\nclock 1004\n', 0],
  ['went on while it was asked', 'clock 1001\nclock 1011\n', 0],
  ['is ahead', 'welcome\nclock 1038\nRestored.\nclock 1047\n', 37],
  ['is behind', 'clock 940\nclock 950\n', -60],
])('the clock of the other gateway that %s', (_what, said, seconds) => {
  expect(clocksApart(said, 1_000_000, 1_010_000)).toBe(seconds)
})

test.each([
  [0, /^$/],
  // What the way there and back takes cannot be told from it.
  [
    90,
    /^The clock of root@10\.50\.0\.3 is ([78]\d|90) s ahead of this one, so keys end and limits begin anew at other moments there;/,
  ],
])('whoever carries settings over is told that the clocks are %d s apart', (seconds, words) => {
  const home = mkdtempSync(join(folder, 'home-'))
  const file = places(home).settings
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, "vip: { address: '10.50.0.100', interface: eth0, peer: '10.50.0.3', priority: 150 }\n")
  mkdirSync(join(home, 'bin'))
  mkdirSync(join(home, 'other'))
  for (const [name, text] of [
    ['bin/uname', '#!/bin/sh\necho Darwin\n'],
    ['bin/ssh', `#!/bin/sh\nfor last; do :; done\nPATH='${home}/other':/usr/bin:/bin exec sh -c "$last"\n`],
    ['other/date', `#!/bin/sh\necho $(($(/bin/date "$@") + ${seconds}))\n`],
    ['other/rop', '#!/bin/sh\necho Restored, and in force.\n'],
    ['other/sudo', '#!/bin/sh\nshift\nexec "$@"\n'],
  ] as const) {
    writeFileSync(join(home, name), text)
    chmodSync(join(home, name), 0o755)
  }
  const env = { HOME: home, PATH: `${home}/bin:${dirname(process.execPath)}:/usr/bin:/bin` }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'rop.ts', 'pair', 'sync'], {
    env,
    encoding: 'utf8',
    input: '',
  })
  expect([status, stdout], stderr).toEqual([0, expect.stringContaining('root@10.50.0.3 has the settings and keys')])
  expect(stderr).toMatch(words)
})
