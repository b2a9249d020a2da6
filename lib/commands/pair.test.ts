import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { receiving } from './pair.ts'

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
