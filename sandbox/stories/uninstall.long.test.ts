import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, differences, type Outcome } from '../box/box.ts'
import { at, cannot, everything, installed, job, modest, quickBox, run, titled, told } from './witness.ts'

const all = Object.values(labels)

function expectDone(outcome: Outcome): void {
  expect(outcome.code, told(outcome)).toBe(0)
  expect(outcome.stderr).toBe('')
  expect(outcome.stdout.trimEnd().split('\n').at(-1)).toBe('log: none (removed)')
}

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
    for (const label of all) expect(await job(box, label), label).toBeUndefined()
    expect(box.exists(`${at(box).agents}/${labels.gateway}.plist`)).toBe(false)
  })
})
