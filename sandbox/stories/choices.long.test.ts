import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { consent, consentQuestion, exposeQuestion } from '../../lib/parts/consent.ts'
import { labels } from '../../lib/platform/mac/places.ts'
import { type Box, differences } from '../box/box.ts'
import {
  answer,
  answerEach,
  at,
  cannot,
  everything,
  expectGreen,
  job,
  listeners,
  logs,
  modest,
  quickBox,
  receipt,
  run,
  screen,
  titled,
  told,
} from './witness.ts'

/** The questions that were answered, by their beginning: inquirer puts ✔ before each, our results have ✓. */
const answered = (text: string): string[] => [
  ...new Set([...text.matchAll(/✔ (.{8})/g)].map(([, words = '']) => words)),
]

describe.skipIf(cannot)(titled('the questions on a bare Mac'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({ preset: 'bare', mac: { tailscale: { loginAfterMs: 300 }, firewall: { state: 1 } } })
  })
  afterAll(() => box.close())

  const questions: [RegExp | string, string?][] = [
    [consentQuestion],
    ['Which model?'],
    ['Keep this Mac awake'],
    ['Do this?'],
  ]

  it('change nothing when the last one is declined', async () => {
    const before = everything(box)
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, questions.slice(0, -1))
    await asked.expect('Do this?')
    asked.write('n\r')
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(4)
    expect(screen(asked)).toContain('Nothing was changed.')
    expect(differences(before, everything(box)).filter((line) => !/Library\/Logs$/.test(line))).toEqual([])
  })

  it('change no byte as a dry run, which leaves no log either', async () => {
    const [before, runs] = [everything(box), logs(box)]
    const outcome = await run(box, 'install.ts', '--dry-run')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toContain('What will be done (')
    expect(outcome.stdout).toContain('Dry run: nothing was changed.')
    expect(outcome.stdout).not.toContain('log: ')
    expect(differences(before, everything(box))).toEqual([])
    expect(logs(box)).toEqual(runs)
  })

  it('are at most four, each with a default that Enter takes, and lead to a green end', async () => {
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, [...questions, ['Press RETURN/ENTER to continue']])
    const { code } = await asked.done
    const seen = screen(asked)
    expectGreen(code, seen)
    for (const line of consent.split('\n')) expect(seen).toContain(line)
    expect(answered(seen), answered(seen).join('\n')).toHaveLength(questions.length)
    expect(questions.length).toBeLessThanOrEqual(4)
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
    expect((await box.run(['pmset', '-g', 'custom'])).stdout, 'a desktop Mac stays awake').toMatch(/^ sleep\s+0$/m)
  })
})

describe.skipIf(cannot)(titled('the proxy, declined and back'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox({ mac: { pmset: { ac: { sleep: 0, autorestart: 1 } } } })
    box.write(at(box).settings, modest, 0o600)
  })
  afterAll(() => box.close())

  const places = async () => (await listeners(box, box.port)).map(({ command, at: place }) => `${command} ${place}`)

  const dryRunChangesNothing = async (...words: string[]) => {
    const [before, runs] = [everything(box), logs(box)]
    const outcome = await run(box, 'install.ts', '--dry-run', ...words)
    expect(outcome.code, told(outcome)).toBe(0)
    expect(differences(before, everything(box))).toEqual([])
    expect(logs(box)).toEqual(runs)
    return outcome.stdout
  }

  it('cannot be exposed by accident', async () => {
    const outcome = await run(box, 'install.ts', '--yes', '--expose-unprotected')
    expect(outcome.code, told(outcome)).toBe(2)
    expect(outcome.stderr).toContain('--no-proxy')
    expect(await places()).toEqual([])
  })

  it('declined means loopback only, with exit code 0, and another’s ~/.haproxy is not touched', async () => {
    box.write('.haproxy/haproxy.cfg', 'global # of another program\n')
    const theirs = box.snapshot('.haproxy')
    const outcome = await run(box, 'install.ts', '--yes', '--no-proxy')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toContain('no remote access: Ollama answers on this Mac only')
    expect(outcome.stdout).not.toContain('brew install')
    expect(await places()).toEqual(['ollama 127.0.0.1:11434'])
    expect(await job(box, labels.gateway)).toBeUndefined()
    expect(await answer(box, 'laptop', '/api/version')).toBe('refused')
    expect(receipt(box).mode).toBe('local')
    expect(box.snapshot('.haproxy')).toEqual(theirs)
    await box.run(['rm', '-r', '.haproxy'])
    const status = await run(box, 'status.ts')
    expect(status.code, told(status)).toBe(0)
    expect(status.stdout).toContain('Ollama answers on this machine only')
  })

  it('asks again later, and Enter, Enter keeps Ollama to this Mac', async () => {
    const before = await places()
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, [[consentQuestion, 'n\r'], [exposeQuestion]])
    const { code } = await asked.done
    expect(code, screen(asked)).toBe(0)
    expect(await places()).toEqual(before)
  })

  it('exposed says in the plan that every endpoint is open, and a dry run changes nothing', async () => {
    const plan = await dryRunChangesNothing('--no-proxy', '--expose-unprotected')
    expect(plan).toMatch(
      /100\.64\.0\.1:11434 \(Ollama: every endpoint, deletion included, open to your tailnet, without source guard and Host check/,
    )
    expect(plan).toContain('`ollama` then needs OLLAMA_HOST=100.64.0.1:11434')
  })

  it('exposed binds the tailnet address, never a wildcard', async () => {
    const outcome = await run(box, 'install.ts', '--yes', '--no-proxy', '--expose-unprotected')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toContain('NOT PROTECTED: every Ollama endpoint answers on 100.64.0.1:11434')
    expect(await places()).toEqual(['ollama 100.64.0.1:11434'])
    expect((await job(box, labels.engine))?.environment.OLLAMA_HOST).toBe('100.64.0.1:11434')
    expect(await answer(box, 'laptop', '/api/ps')).toBe(200)
  })

  it.each(['test.ts', 'status.ts'])('exposed is never called passed by %s', async (script) => {
    const outcome = await run(box, script)
    expect(outcome.code, told(outcome)).toBe(1)
    expect(outcome.stdout).toMatch(/✗ (Ollama is protected by the proxy[^\n]*\n\s+n|N)ot protected/)
    expect(outcome.stdout).not.toMatch(/ALL AS PROMISED|All is as the settings say/)
    expect(outcome.stdout).toContain('NOT AS PROMISED')
  })

  it('stays as chosen when nobody is asked', async () => {
    const outcome = await run(box, 'install.ts', '--yes')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(outcome.stdout).toContain('Nothing to do')
    expect(await places()).toEqual(['ollama 100.64.0.1:11434'])
  })

  it('is put in front after all when the person agrees', async () => {
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, [[consentQuestion], ['Do this?']])
    const { code } = await asked.done
    expectGreen(code, screen(asked))
    expect((await places()).sort()).toEqual(
      ['haproxy 100.64.0.1:11434', 'haproxy [fd7a:115c:a1e0::1]:11434', 'ollama 127.0.0.1:11434'].sort(),
    )
    expect(await answer(box, 'laptop', '/api/ps')).toBe(403)
    await dryRunChangesNothing()
  })

  it('leaves nothing behind when it is given up again', async () => {
    const plan = await dryRunChangesNothing('--no-proxy')
    expect(plan).toContain(`launchctl bootout gui/501/${labels.gateway}`)
    const outcome = await run(box, 'install.ts', '--yes', '--no-proxy')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(await places()).toEqual(['ollama 127.0.0.1:11434'])
    expect(box.exists(at(box).proxy)).toBe(false)
    expect(box.exists(`${at(box).agents}/${labels.gateway}.plist`)).toBe(false)
    await dryRunChangesNothing('--no-proxy')
  })

  it('comes back, and goes straight to exposed, too', async () => {
    const asked = box.startScript('install.ts', [], { tty: true })
    await answerEach(asked, [[consentQuestion], ['Do this?']])
    expectGreen((await asked.done).code, screen(asked))
    expect(await answer(box, 'laptop', '/api/version')).toBe(200)
    const outcome = await run(box, 'install.ts', '--yes', '--no-proxy', '--expose-unprotected')
    expect(outcome.code, told(outcome)).toBe(0)
    expect(await places()).toEqual(['ollama 100.64.0.1:11434'])
  })
})
