import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { consentQuestion } from '../../lib/parts/consent.ts'
import { type Box, differences } from '../box/box.ts'
import { shown, textOf } from '../pictures/terminal.ts'
import { eventually } from './await.ts'
import {
  answer,
  answerEach,
  at,
  cannot,
  everything,
  expectGreen,
  installed,
  modest,
  patience,
  quickBox,
  receipt,
  run,
  screen,
  titled,
  told,
} from './witness.ts'

/** Wrapped at the terminal’s width. */
const interrupted =
  /^(?:\^C)?Interrupted(?:\s+at\s+"[^"]+")?;\s+(nothing\s+was|1\s+step\s+was|\d+\s+steps\s+were)\s+done\s+before[\s\w]*,\s+and\s+the\s+next\s+run\s+goes\s+on\s+from\s+there\.$/m

describe.skipIf(cannot)(titled('an install that does not come to its end'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, modest, 0o600)
  })
  afterAll(() => box.close())

  it('by Ctrl-C at a question says one sentence, ends with 130 and has changed nothing', async () => {
    const before = everything(box)
    const asked = box.startScript('install.ts', [], { tty: true })
    await asked.expect(consentQuestion, patience)
    asked.write('\u0003')
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(130)
    expect(screen(asked)).toContain('Interrupted; nothing was changed.')
    expect(screen(asked)).not.toMatch(/^\s+at |ExitPromptError/m)
    expect(differences(before, everything(box)).filter((line) => !/Library\/Logs$/.test(line))).toEqual([])
  })

  it('by Ctrl-C in the middle of the work says at what, and how much was done', async () => {
    const working = box.startScript('install.ts', ['--yes', '--verbose'], { tty: true })
    await working.expect('[runtime.copy]', patience)
    working.write('\u0003')
    const { code } = await working.done
    expect(code, screen(working)).toBe(130)
    expect(textOf(await shown(working.output(), 120))).toMatch(interrupted)
    expect(screen(working)).not.toMatch(/^\s+at /m)
  })

  // Each run begins where the one before was killed, so every one of them heals a different half.
  it.each([
    ['when the plan is shown', 'What will be done'],
    ['while the runtime is copied', '[runtime.logs]'],
    ['before Ollama’s job is there', '[ollama.environment]'],
    ['when its job is written and not loaded', '[ollama.job]'],
    ['when Ollama runs', '[ollama.service]'],
    ['when the gateway’s folders are there', '[haproxy.run]'],
    ['when the configuration is written', '[haproxy.config]'],
    ['when the gateway’s job is written', '[haproxy.job]'],
    ['while the model is pulled', 'pulling manifest'],
    ['before the proof', '[models.service]'],
  ])('by kill -9 %s leaves its lock behind', async (_when, line) => {
    const working = box.startScript('install.ts', ['--yes', '--verbose'])
    await working.expect(line, patience)
    working.kill('SIGKILL')
    const { code } = await working.done
    expect(code).not.toBe(0)
  })

  it('is healed by the next run, which takes the stale lock over and ends green', async () => {
    expect(box.exists(at(box).lock)).toBe(true)
    await installed(box)
    expect(box.exists(at(box).lock)).toBe(false)
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
    const left = [...box.snapshot('.').keys()].filter((path) => /\.(new|writing)(\/|$)|\.next$/.test(path))
    expect(left).toEqual([])
    expect(receipt(box).backups).toEqual([])
  })

  it('by kill -9 in a change of the configuration heals, too', async () => {
    box.write(at(box).settings, `queue: { max: 63 }\n${modest}`, 0o600)
    const working = box.startScript('install.ts', ['--yes'])
    await eventually('the old configuration is set aside', () => box.exists(at(box).lastGood), patience)
    working.kill('SIGKILL')
    await working.done
    await installed(box)
    expect((await run(box, 'status.ts')).code).toBe(0)
  })

  it('is alone: a second run at the same time says so and stops with 3', async () => {
    box.write(at(box).settings, `queue: { max: 62 }\n${modest}`, 0o600)
    const first = box.startScript('install.ts', ['--yes'])
    await eventually('the first run holds the lock', () => box.exists(at(box).lock), patience)
    first.kill('SIGSTOP')
    const second = await run(box, 'install.ts', '--yes')
    const third = await run(box, 'uninstall.ts', '--yes')
    for (const outcome of [second, third]) {
      expect(outcome.code, told(outcome)).toBe(3)
      expect(outcome.stderr).toMatch(
        /^Another run of remote-ollama-proxy is at work \(process \d+\); wait for it, then run again\.\n$/,
      )
    }
    first.kill('SIGCONT')
    const { code } = await first.done
    expectGreen(code, first.output())
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
  })

  it('a lock whose process number was given to another program is taken over', async () => {
    box.write(at(box).lock, '1 Thu Jan 1 00:00:00 1970\n', 0o600)
    await installed(box)
    expect(box.exists(at(box).lock)).toBe(false)
  })
})

describe.skipIf(cannot)(titled('a run that waits for its yes while another one comes to its end'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, modest, 0o600)
    box.write('.haproxy/haproxy.cfg', 'global # of another program\n')
  })
  afterAll(() => box.close())

  it('goes by the receipt of that run: install stops with 3, uninstall offers back what was moved away', async () => {
    const installing = box.startScript('install.ts', [], { tty: true })
    await answerEach(installing, [[consentQuestion], ['Back it up and replace it?'], ['Keep this Mac awake']])
    await installing.expect('Do this?', patience)
    const leaving = box.startScript('uninstall.ts', [], { tty: true })
    await leaving.expect('Remove it?', patience)
    await installed(box)
    const before = everything(box)

    installing.write('\r')
    expect((await installing.done).code, screen(installing)).toBe(3)
    expect(screen(installing)).toMatch(
      /^Another run changed the installation .*; nothing was changed, run install\.ts again/m,
    )
    expect(differences(before, everything(box))).toEqual([])

    leaving.write('\r')
    await answerEach(leaving, [[/Put \S+\.haproxy back as it was before install\?/, 'y\r']])
    expect((await leaving.done).code, screen(leaving)).toBe(0)
    expect(box.read('.haproxy/haproxy.cfg')).toBe('global # of another program\n')
    expect(box.exists(at(box).support)).toBe(false)
  })
})
