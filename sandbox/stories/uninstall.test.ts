import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, differences, type Snapshot } from '../box/box.ts'
import { setFaults } from './installed.ts'
import { expectDone, expectGone } from './leaving.ts'
import { lasting, longChat, openStream } from './stream.ts'
import {
  answerEach,
  at,
  cannot,
  everything,
  installed,
  logs,
  modest,
  patience,
  quickBox,
  run,
  screen,
  titled,
  told,
} from './witness.ts'

const older = ['/tmp/ollama.stdout.log', '/tmp/ollama.stderr.log', '/tmp/haproxy.log']

describe.skipIf(cannot)(titled('uninstall'), () => {
  let box: Box
  let bare: Snapshot
  beforeAll(async () => {
    box = await quickBox()
    bare = everything(box)
    box.write(at(box).settings, modest, 0o600)
    await installed(box)
    for (const path of older) box.write(path, 'of an older install\n')
  })
  afterAll(() => box.close())

  it('as a dry run says what would go and what stays, and changes no byte', async () => {
    const [before, logged] = [everything(box), logs(box)]
    const outcome = await run(box, 'uninstall.ts', '--dry-run')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toMatch(
      /^What will be removed \(\d+ steps\):\n[\s\S]*^ {2}HAProxy +The job com\.haproxy is/m,
    )
    expect(outcome.stdout).toMatch(/^What stays:\n[\s\S]*^ {2}Models +.*models are valuable/m)
    expect(outcome.stdout).not.toMatch(/launchctl/)
    const all = await run(box, 'uninstall.ts', '--dry-run', '--verbose')
    for (const label of Object.values(labels)) expect(all.stdout).toContain(`launchctl bootout gui/501/${label}`)
    expect(all.stdout).toMatch(/^Removed:\n(?: {2}.*\n)* {2}~\/\.haproxy\n/m)
    expect(differences(before, everything(box))).toEqual([])
    expect(logs(box)).toEqual(logged)
  })

  it('declined changes nothing', async () => {
    const before = everything(box)
    const asked = box.startScript('uninstall.ts', [], { tty: true })
    await answerEach(asked, [['Remove it?', 'n\r']])
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(4)
    expect(screen(asked)).toContain('Nothing was changed.')
    expect(differences(before, everything(box))).toEqual([])
  })

  it('removes all that install made, checks it, and leaves models and settings byte for byte', async () => {
    const [models, settings] = [box.snapshot('.ollama/models'), box.snapshot('.config')]
    expect(models.size).toBeGreaterThan(3)
    const outcome = await run(box, 'uninstall.ts', '--yes')
    expectDone(outcome)
    await expectGone(box)
    expect(differences(models, box.snapshot('.ollama/models'))).toEqual([])
    expect(differences(settings, box.snapshot('.config'))).toEqual([])
    expect(older.filter((path) => box.exists(path))).toEqual([])
  })

  it('says why Homebrew, Tailscale, both programs and the models stay, and they do', async () => {
    const outcome = await run(box, 'uninstall.ts', '--yes', '--json')
    const { results } = JSON.parse(outcome.stdout) as { results: { id: string; state: string; saw: string }[] }
    const kept = results.filter(({ state, saw }) => state === 'kept' && saw !== '').map(({ id }) => id)
    expect(kept).toEqual(
      expect.arrayContaining(['packages.present', 'tailscale.package', 'ollama.package', 'haproxy.package']),
    )
    expect(kept.some((id) => id.startsWith('models.'))).toBe(true)
    for (const program of ['bin/brew', 'opt/ollama/bin/ollama', 'opt/haproxy/bin/haproxy'])
      expect(box.exists(`${box.prefix}/${program}`)).toBe(true)
    expect(box.state().tailscale.state).toBe('Running')
  })

  it('twice in a row does no harm, writes no log, and leaves another’s ~/.haproxy alone', async () => {
    box.write('.haproxy/haproxy.cfg', 'global # of another program\n')
    const before = everything(box)
    const again = await run(box, 'uninstall.ts', '--yes')
    expectDone(again)
    expect(again.stdout).toContain('There was nothing left to remove: ')
    expect(differences(before, everything(box))).toEqual([])
    expect(box.exists(at(box).logs)).toBe(false)
    await box.run(['rm', '-r', '.haproxy'])
  })

  it('with --purge removes the settings and nothing else', async () => {
    const before = everything(box)
    expectDone(await run(box, 'uninstall.ts', '--yes', '--purge'))
    expect(differences(before, everything(box)).every((line) => /^- \.config\/remote-ollama-proxy/.test(line))).toBe(
      true,
    )
    const left = differences(bare, everything(box)).filter((line) => !/^[+~] (\.ollama|\.config$|Library)/.test(line))
    expect(left).toEqual([])
  })
})

describe.skipIf(cannot)(titled('uninstall in the middle of life'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [tiny-loop]\n', 0o600)
  })
  afterAll(() => box.close())

  it('lets a running answer end before it takes the gateway away', async () => {
    await installed(box)
    setFaults(box, { tokenDelayMs: 40 })
    const stream = await openStream(box, longChat(lasting(120)))
    await stream.sees('w03')
    const leaving = run(box, 'uninstall.ts', '--yes')
    expect(await stream.ended).toBe('whole')
    expect(stream.text()).toContain('[DONE]')
    expectDone(await leaving)
    await expectGone(box)
    setFaults(box, {})
  })

  it('cleans up after an install that was killed half-way', async () => {
    const half = box.startScript('install.ts', ['--yes', '--verbose'])
    await half.expect('[haproxy.job]', patience)
    half.kill('SIGKILL')
    await half.done
    expect(box.exists(`${at(box).agents}/${labels.engine}.plist`)).toBe(true)
    expectDone(await run(box, 'uninstall.ts', '--yes'))
    await expectGone(box)
  })
})
