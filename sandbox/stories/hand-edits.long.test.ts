import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box } from '../box/box.ts'
import {
  answer,
  answerEach,
  at,
  cannot,
  expectGreen,
  installed,
  job,
  modest,
  patience,
  quickBox,
  receipt,
  run,
  screen,
  titled,
  told,
} from './witness.ts'

/** The copies of a file that the receipt names, by their texts. */
const copies = (box: Box, original: string): string[] =>
  receipt(box)
    .backups.filter((entry) => entry.original === original)
    .map(({ backup }) => box.read(backup))

describe.skipIf(cannot)(titled('a file of ours that somebody edited'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({ mac: { pmset: { ac: { sleep: 0, autorestart: 1 } } } })
    box.write(at(box).settings, modest, 0o600)
    await installed(box)
  })
  afterAll(() => box.close())

  const plist = () => `${at(box).agents}/${labels.engine}.plist`

  /** Appends a line and gives the file's text before and after. */
  const edit = (path: string, line: string) => {
    const before = box.read(path)
    box.write(path, `${before}${line}\n`)
    return { before, after: `${before}${line}\n` }
  }

  it('is shown as a diff, asked about, backed up and replaced', async () => {
    const { before, after } = edit(at(box).config, '# mine: the configuration')
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, [
      ['~/.haproxy/haproxy.cfg was edited by hand or is not ours. Back it up and replace it?'],
      ['Do this?'],
    ])
    const { code } = await asked.done
    expectGreen(code, screen(asked))
    expect(screen(asked)).toContain('-# mine: the configuration')
    expect(screen(asked)).toMatch(
      /a copy of ~\/\.haproxy\/haproxy\.cfg from before is kept in\s+~\/Library\/[\s\S]*?backups/,
    )
    expect(box.read(at(box).config)).toBe(before)
    expect(copies(box, at(box).config)).toEqual([after])
  })

  it('stays when the answer is no, and status.ts names it', async () => {
    const { after } = edit(plist(), '<!-- mine: the job -->')
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, [['com.ollama.plist was edited by hand or is not ours. Back it up and replace it?', 'n\r']])
    const { code } = await asked.done
    expect(code, screen(asked)).not.toBe(130)
    expect(screen(asked)).toContain('left as edited by hand')
    expect(box.read(plist())).toBe(after)
    const status = await run(box, 'status.ts')
    expect(status.code, told(status)).toBe(1)
    expect(status.stdout).toMatch(/✗ ~\/Library\/LaunchAgents\/com\.ollama\.plist differs/)
    expect(box.read(plist())).toBe(after)
  })

  it('is named, backed up and replaced by a run that nobody watches', async () => {
    const job = box.read(plist())
    const { after } = edit(at(box).config, '# mine: once more')
    const outcome = await installed(box)
    expect(outcome.stdout).toContain('-# mine: once more')
    expect(outcome.stdout).toContain('-<!-- mine: the job -->')
    expect(outcome.stdout).toMatch(/a copy of ~\/Library\/LaunchAgents\/com\.ollama\.plist from before is kept in/)
    expect(box.read(at(box).config)).not.toContain('# mine')
    expect(copies(box, at(box).config)).toContain(after)
    expect(copies(box, plist())).toEqual([job])
  })

  it('is found by status.ts when it is broken, and healed by install.ts', async () => {
    const path = `${at(box).agents}/${labels.gateway}.plist`
    box.write(path, '<plist><dict><key>Label')
    const status = await run(box, 'status.ts')
    expect(status.code, told(status)).toBe(1)
    expect(status.stdout).toMatch(/com\.haproxy\.plist is missing or broken/)
    expect(status.stderr).toBe('')
    await installed(box)
    expect(copies(box, path)).toEqual(['<plist><dict><key>Label'])
    expect((await run(box, 'status.ts')).code).toBe(0)
  })

  it('and made readable for others is named by status.ts with its chmod, and made private by install.ts', async () => {
    const { settings, backups } = at(box)
    const before = [...box.snapshot(backups).keys()]
    box.write(settings, `# mine\n${modest}`)
    expect((await box.run(['chmod', '644', settings])).code).toBe(0)
    const status = await run(box, 'status.ts')
    expect(status.code, told(status)).toBe(1)
    expect(status.stdout).toMatch(
      /settings\.yaml has mode 644 instead of 600\. [\s\S]*do\s+chmod 600 '\/Users\/ada\/\.config\/.*settings\.yaml'/,
    )
    await installed(box)
    expect(box.snapshot(dirname(settings)).get('settings.yaml')).toMatch(/600/)
    expect([...box.snapshot(backups).keys()]).toEqual(before)
    expect(box.read(settings)).toBe(`# mine\n${modest}`)
    expect((await run(box, 'status.ts')).code).toBe(0)
  })
})

describe.skipIf(cannot)(titled('what is there under our names and is not ours'), () => {
  let box: Box
  const cfg = 'global\n  # of another program\n'
  const theirs = (label: string, words: string[]) => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Label</key><string>${label}</string><key>ProgramArguments</key><array>${words
    .map((word) => `<string>${word}</string>`)
    .join('')}</array><key>RunAtLoad</key><true/></dict></plist>
`
  const engine = theirs(labels.engine, ['/bin/sleep', '86400'])
  const gateway = theirs(labels.gateway, ['/bin/sleep', '86401'])
  const path = (label: string) => `${at(box).agents}/${label}.plist`

  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, modest, 0o600)
    box.write(at(box).config, cfg)
    box.write('.haproxy/notes.txt', 'precious\n')
    box.write(path(labels.engine), engine)
    box.write(path(labels.gateway), gateway)
    await box.run(['launchctl', 'bootstrap', 'gui/501', path(labels.engine)])
  })
  afterAll(() => box.close())

  it('is named, moved to the backups and replaced', async () => {
    expect((await job(box, labels.engine))?.arguments).toEqual(['/bin/sleep', '86400'])
    const outcome = await installed(box)
    expect(outcome.stdout).toContain('~/.haproxy is there, and we did not make it')
    expect(outcome.stdout).toContain('86400')
    for (const name of [
      '.haproxy',
      `Library/LaunchAgents/${labels.engine}.plist`,
      `Library/LaunchAgents/${labels.gateway}.plist`,
    ])
      expect(outcome.stdout).toContain(`a copy of ~/${name} from before is kept in ~/`)
    expect(copies(box, path(labels.engine))).toEqual([engine])
    expect(copies(box, path(labels.gateway))).toEqual([gateway])
    const folder = receipt(box).backups.find(({ original }) => original === at(box).proxy)?.backup
    expect(box.read(`${folder}/haproxy.cfg`)).toBe(cfg)
    expect(box.read(`${folder}/notes.txt`)).toBe('precious\n')
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
  })

  it('is offered back by uninstall.ts, and comes back as it was', async () => {
    const asked = box.startScript('uninstall.ts', [], { tty: true })
    await answerEach(asked, [['Remove it?']])
    for (const { original } of receipt(box).backups) {
      await asked.expect(`Put ${original} back as it was before install?`, patience)
      asked.write('y\r')
    }
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(0)
    expect(box.read(at(box).config)).toBe(cfg)
    expect(box.read('.haproxy/notes.txt')).toBe('precious\n')
    expect(box.read(path(labels.engine))).toBe(engine)
    expect(box.read(path(labels.gateway))).toBe(gateway)
    expect(box.exists(at(box).support)).toBe(false)
  })
})
