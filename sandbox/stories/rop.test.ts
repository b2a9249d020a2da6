import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { installedBox, logs, settingsFile, status } from './installed.ts'
import { expectGreen, told } from './witness.ts'

let box: Box
let link: string

const rop = (...words: string[]) => box.run([link, ...words], { cwd: '/' })

beforeAll(async () => {
  box = await installedBox()
  link = `${box.prefix}/bin/rop`
})
afterAll(() => box?.close())

describe('rop, the one command', () => {
  it('is a link in Homebrew’s bin to the copy that the jobs run, and says its version from any folder', async () => {
    expect((await box.run(['readlink', link])).stdout).toMatch(/current\/templates\/bin\/rop\n$/)
    expect(await rop('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^remote-ollama-proxy \d/) })
  })

  it('does what the scripts of a checkout do, and names itself in what it says', async () => {
    const listed = await rop('keys', 'list')
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('rop keys add NAME') })
    expect((await rop('status', '--json')).code).toBe(0)
    const again = await rop('install', '--yes')
    expect(again.stdout).toContain('Nothing to do')
    expectGreen(again.code, told(again))
  })

  it('tells what is in force from what is only written, and what brings that in', async () => {
    const before = box.read(settingsFile)
    box.write(settingsFile, before.replace(/^access: tailnet/m, 'access: keys'), 0o600)
    try {
      const { code, stdout } = await rop('status')
      expect(code).toBe(1)
      expect(stdout).toMatch(
        /^! settings\.yaml was changed and is not in force yet; rop apply brings it in:\n {2}\+ From now on a key is asked for; there are 0\.\n/,
      )
      expect(stdout).toMatch(/^ {2}Who +every device that your tailnet lets in/m)
      expect(stdout).not.toContain('rop install')
      expect((await rop('doctor')).stdout).toContain('rop apply brings it in')
      expect((await status(box)).of('haproxy.config')).toMatchObject({
        state: 'missed',
        remedy: 'Run npx tsx apply.ts.',
      })
      expect((await rop('keys', 'add', 'early')).stdout).toContain('No key is asked for yet')
      await rop('keys', 'revoke', 'early')
      // What is wrong beside it is said all the same.
      await box.run(['launchctl', 'bootout', 'gui/501/com.haproxy'])
      expect((await rop('status')).stdout).toMatch(
        /^✗ com\.haproxy is not loaded\. [\s\S]*^! settings\.yaml was changed/m,
      )
      expect(await rop('apply')).toMatchObject({ code: 0, stdout: expect.stringContaining('In effect') })
      expect((await rop('status')).stdout).toMatch(/^ {2}Who +whoever has a key/m)
    } finally {
      box.write(settingsFile, before, 0o600)
      await rop('apply')
    }
    expect(await rop('status')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^✓ All is as/) })
  })

  it('finds a file where it was typed, not where it lies', async () => {
    box.write('here/keys.json', '{}')
    const { code, stderr } = await box.run([link, 'keys', 'import', 'keys.json'], { cwd: `${box.home}/here` })
    expect(code).toBe(2)
    expect(stderr).not.toContain('is none')
  })

  it('says what it knows, and asks back for a word that it does not', async () => {
    expect((await rop()).stdout).toMatch(/^Usage: rop VERB/)
    expect((await rop('help', 'keys')).stdout).toMatch(/^Usage: rop keys add NAME/)
    const wrong = await rop('statsu')
    expect(wrong).toMatchObject({
      code: 2,
      stderr: 'There is no "statsu"; did you mean status? rop help lists what there is.\n',
    })
  })

  it('says what is missing, and leaves no log of what was typed wrongly', async () => {
    const runs = () => [...box.snapshot(logs).keys()].filter((name) => /Z-[a-z]+\.log$/.test(name))
    const before = runs()
    for (const [words, says] of [
      [['keys', 'add'], /^The name is missing: rop keys add NAME; nothing was changed\.$/m],
      [['keys', 'revoke'], /^The name is missing: rop keys revoke NAME \(rop keys list shows those there are\)/],
      [['completion'], /^rop completion takes one of bash, zsh, fish\.$/m],
      [['keys', 'add', 'Not a name'], /not "Not a name"; nothing was changed/],
      [['keys', 'import'], /^The file is missing: rop keys import FILE/],
      [['keys', 'unban'], /^rop keys unban takes one address/],
      [['keys', 'frob'], /has no "frob"/],
      [['restore', '--yes'], /^The file is missing: rop restore FILE/],
      [['warm', 'two words'], /model name/],
    ] as const)
      expect(await rop(...words)).toMatchObject({ code: 2, stderr: expect.stringMatching(says), stdout: '' })
    expect(runs()).toEqual(before)
  })

  it('shows what happens until q is typed', async () => {
    const watching = box.start([link, 'status', '--watch'], { tty: true })
    await watching.expect('q leaves')
    watching.write('q')
    expect((await watching.done).code).toBe(0)
  })

  it('gives each shell its words', async () => {
    const bash = `eval "$(${link} completion bash)"; COMP_WORDS=(rop keys --per); COMP_CWORD=2; _rop; echo "\${COMPREPLY[*]}"`
    expect((await box.run(['bash', '-c', bash])).stdout).toBe('--per-minute --per-day --per-second\n')
    expect((await rop('completion', 'zsh')).stdout).toContain('compdef _rop rop')
    expect((await rop('completion', 'fish')).stdout).toContain('__fish_seen_subcommand_from status')
    expect(await rop('completion', 'tcsh')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bash, zsh, fish'),
    })
  })

  it('is gone after uninstall, unless it is another’s', async () => {
    expect((await rop('uninstall', '--yes')).code).toBe(0)
    expect((await box.run(['ls', link])).code).not.toBe(0)
  })
})
