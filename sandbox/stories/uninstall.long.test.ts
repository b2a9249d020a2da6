import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, differences } from '../box/box.ts'
import { setFaults } from './installed.ts'
import { expectDone, expectGone, ours } from './leaving.ts'
import { lasting, longChat, openStream } from './stream.ts'
import {
  answerEach,
  at,
  cannot,
  everything,
  installed,
  job,
  modest,
  quickBox,
  receipt,
  run,
  screen,
  titled,
  told,
} from './witness.ts'

describe.skipIf(cannot)(titled('uninstall and a job under our label that'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    await box.run(['mkdir', '-p', `${box.home}/Library/Application Support`])
  })
  afterAll(() => box.close())

  const path = () => `${at(box).agents}/${labels.engine}.plist`
  const plist = (more: string) => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Label</key><string>${labels.engine}</string><key>ProgramArguments</key>
<array><string>/bin/sleep</string><string>86400</string></array><key>RunAtLoad</key><true/>${more}</dict></plist>
`
  const load = async (text: string) => {
    box.write(path(), text)
    const loaded = await box.run(['launchctl', 'bootstrap', 'gui/501', path()])
    expect(loaded.code, told(loaded)).toBe(0)
    await expect.poll(async () => (await job(box, labels.engine))?.pid, { timeout: 60_000 }).toBeDefined()
  }

  it('somebody else made, where we never installed: it runs on, its file stays, and both are said', async () => {
    await load(plist(''))
    const [before, running] = [everything(box), await job(box, labels.engine)]
    const dry = await run(box, 'uninstall.ts', '--dry-run', '--verbose')
    expect(dry.stdout).not.toContain(`launchctl bootout gui/501/${labels.engine}\n`)
    expect(dry.stdout).toMatch(/^ {2}Ollama .*com\.ollama\.plist is not ours, so it stays/m)
    const outcome = await run(box, 'uninstall.ts', '--yes')
    expectDone(outcome)
    expect(outcome.stdout).toMatch(
      /^· Ollama runs as written.*; it stays: .*com\.ollama\.plist is not ours, so it stays/m,
    )
    expect(differences(before, everything(box))).toEqual([])
    expect((await job(box, labels.engine))?.pid).toBe(running?.pid)
  })

  it('has no file any more and is not ours runs on, too', async () => {
    await box.run(['rm', path()])
    const running = await job(box, labels.engine)
    const outcome = await run(box, 'uninstall.ts', '--yes')
    expectDone(outcome)
    expect(outcome.stdout).toContain('the job com.ollama is not ours, so it stays')
    expect((await job(box, labels.engine))?.pid).toBe(running?.pid)
    await box.run(['launchctl', 'bootout', `gui/501/${labels.engine}`])
  })

  it('an older install of ours made is removed, with a copy', async () => {
    const older = plist('<key>StandardOutPath</key><string>/tmp/ollama.stdout.log</string>')
    await load(older)
    const outcome = await run(box, 'uninstall.ts', '--yes')
    expectDone(outcome)
    expect(await job(box, labels.engine)).toBeUndefined()
    const [, copy = ''] = /a copy of \S+com\.ollama\.plist from before is kept in (.*)/.exec(outcome.stdout) ?? []
    expect(box.read(copy)).toBe(older)
    await box.run(['rm', '-rf', at(box).support])
  })

  it('is ours is removed without its receipt and without its file', async () => {
    box.write(at(box).settings, modest, 0o600)
    await installed(box)
    await box.run(['rm', at(box).receipt, path()])
    expectDone(await run(box, 'uninstall.ts', '--yes'))
    for (const label of ours) expect(await job(box, label), label).toBeUndefined()
    expect(box.exists(`${at(box).agents}/${labels.gateway}.plist`)).toBe(false)
  })
})

describe.skipIf(cannot)(titled('uninstall of what others changed'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [tiny-loop]\n', 0o600)
  })
  afterAll(() => box.close())

  it('is not what Enter says while somebody is served', async () => {
    await installed(box)
    setFaults(box, { tokenDelayMs: 40 })
    const stream = await openStream(box, longChat(lasting(120)))
    await stream.sees('w03')
    const asked = box.startScript('uninstall.ts', [], { tty: true })
    await answerEach(asked, [['Remove it?']])
    expect((await asked.done).code, screen(asked)).toBe(4)
    expect(screen(asked)).toContain('This machine serves somebody now')
    expect(await stream.ended).toBe('whole')
  })

  it('works with files edited or deleted by hand and with settings that are broken', async () => {
    box.write(at(box).settings, 'models: [tiny-loop]\n', 0o600)
    await installed(box)
    const edited = `${at(box).agents}/${labels.engine}.plist`
    box.write(edited, `${box.read(edited)}<!-- mine -->\n`)
    const gone = [`${at(box).agents}/${labels.gateway}.plist`, at(box).config, at(box).adminSocket, at(box).current]
    for (const path of gone) expect((await box.run(['rm', path])).code, path).toBe(0)
    box.write(at(box).settings, 'models: [tiny-loop\n', 0o600)

    const outcome = await run(box, 'uninstall.ts', '--yes')
    expectDone(outcome)
    for (const label of ours) expect(await job(box, label), label).toBeUndefined()
    const [, copy = ''] = /a copy of \S+com\.ollama\.plist from before is kept in (.*)/.exec(outcome.stdout) ?? []
    expect(box.read(copy)).toContain('<!-- mine -->')
    expect(box.read(at(box).settings)).toBe('models: [tiny-loop\n')
  })

  it('once more keeps that copy, for as long as it is there', async () => {
    const before = box.snapshot(at(box).backups)
    expectDone(await run(box, 'uninstall.ts', '--yes'))
    expect(box.snapshot(at(box).backups)).toEqual(before)
    expect(before.size).toBe(1)
    await box.run(['rm', '-rf', at(box).backups])
    expectDone(await run(box, 'uninstall.ts', '--yes'))
    await expectGone(box)
  })

  it('offers back what install stopped', async () => {
    box.write(at(box).settings, 'models: [tiny-loop]\n', 0o600)
    const theirs = await box.run(['brew', 'services', 'start', 'ollama'])
    expect(theirs.code, told(theirs)).toBe(0)
    const refusal = await run(box, 'install.ts', '--yes')
    expect(refusal.code, told(refusal)).toBe(3)
    expect(refusal.stderr).toMatch(/Homebrew service ollama.*--stop-other-ollama/)
    await installed(box, '--stop-other-ollama')
    const { stopped } = receipt(box)
    expect(stopped.map(({ what }) => what)).toEqual(['the Homebrew service ollama'])
    expect(stopped[0]?.back.join(' ')).toMatch(/brew services start ollama$/)

    const asked = box.startScript('uninstall.ts', [], { tty: true })
    await answerEach(asked, [
      ['Remove it?'],
      [/Start the Homebrew service ollama again \(\S*brew services start ollama\)\?/],
    ])
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(0)
    expect(screen(asked)).toContain('log: none (removed)')
    expect((await job(box, 'homebrew.mxcl.ollama'))?.state).toBe('running')
  })
})
