import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/here.ts'
import type { Entry, Registry } from '../site/limits.ts'
import {
  backupText,
  changesTo,
  forPair,
  keepCopy,
  lastBackup,
  nothingIn,
  parseBackup,
  present,
  putFiles,
  rememberBackup,
} from './backup.ts'

const defaults = readFileSync('templates/settings.yaml', 'utf8')
const at = places({ home: '/Users/ada', system: 'mac' })
const hash = (letter: string, until?: string) => ({ sha256: letter.repeat(64), ...(until && { until }) })
const key = (...hashes: Entry['hashes']): Entry => ({ created: '2026-01-01T00:00:00.000Z', hashes })
const registry = (keys: Registry['keys']): Registry => ({ version: 1, keys })
const saved = (settings: string, keys: Registry['keys'] = {}) =>
  parseBackup(backupText({ settings, keys: registry(keys) }, '0.1.0'), 'house.json')

describe('what a restore changes', () => {
  it('is told by name: what is new, what counts again, what ends, and other limits', () => {
    const now = registry({
      ann: key(hash('A')),
      rotated: key(hash('C')),
      limited: { ...key(hash('D')), perMinute: 3 },
      ended: key(hash('E')),
    })
    const then = saved('', {
      ann: key(hash('A')),
      rotated: key(hash('B')),
      limited: key(hash('D')),
      bob: key(hash('F')),
    })
    expect(changesTo({ settings: '', keys: now }, then, '')).toEqual({
      settings: [],
      added: [],
      back: ['bob'],
      earlier: ['rotated'],
      changed: ['limited'],
      gone: ['ended'],
      pair: [],
    })
    expect(changesTo({ settings: '' }, then, '')).toMatchObject({
      added: ['ann', 'rotated', 'limited', 'bob'],
      back: [],
    })
  })

  it('does not call a key back whose grace was over', () => {
    const then = saved('', { ann: key(hash('A', '2026-02-01T00:00:00.000Z'), hash('B')) })
    const now = { settings: '', keys: registry({ ann: key(hash('B')) }) }
    expect(changesTo(now, then, '').earlier).toEqual([])
    expect(changesTo(now, then, '', Date.parse('2026-01-15')).earlier).toEqual(['ann'])
  })

  it('names what changes of the settings in the sentences of apply, by what they mean', () => {
    const change = (now: string, then: string) => changesTo({ settings: now }, saved(then), defaults).settings
    expect(change('access: keys\ndrain: 10m\n', 'port: 12000\ndrain: 600s\n')).toEqual([
      'No key is asked for any more: whoever the tailnet lets in may ask.',
      'port is 12000 now; it was 11434.',
    ])
    expect(change('port: 12000\n', '# mine\nport: 12000\n')).toEqual(['comments and layout'])
    expect(change('port: [\n', 'port: 12000\n')).toEqual(['all of it: settings.yaml is faulty now'])
    expect(nothingIn(changesTo({ settings: 'a: 1', keys: registry({}) }, { ...saved(''), settings: 'a: 1' }, ''))).toBe(
      true,
    )
  })
})

describe('a backup of the other gateway of a pair', () => {
  const pair = (own: string, peer: string, priority: number, more: string) => `# of ${priority}
listeners:
  inside: { addresses: ['192.168.7.100', '${own}'], port: 12000, from: [192.168.7.9] }
vip: { address: '192.168.7.100', interface: eth0, peer: '${peer}', priority: ${priority} } # ours
${more}`
  const theirs = saved(pair('192.168.7.2', '192.168.7.3', 150, 'access: keys\n'), { ann: key(hash('A')) })
  const mine = pair('192.168.7.3', '192.168.7.2', 140, '')

  it('brings everything but what each has for itself: its place in the pair, and where it listens', () => {
    const { parsed, keys, settings } = forPair(theirs, mine, 'house.json')
    expect(parsed.vip).toMatchObject({ peer: '192.168.7.2', priority: 140 })
    expect(parsed.listeners.inside).toMatchObject({ addresses: ['192.168.7.100', '192.168.7.3'], port: 12000 })
    expect([parsed.access, Object.keys(keys.keys)]).toEqual(['keys', ['ann']])
    expect(settings).toContain('# of 150')
  })

  it('changes nothing the second time, whichever way it goes', () => {
    const once = forPair(theirs, mine, 'house.json')
    expect(forPair(theirs, once.settings, 'house.json').settings).toBe(once.settings)
    expect(forPair(saved(once.settings), theirs.settings, 'house.json').parsed).toEqual(theirs.parsed)
  })

  it('brings what the two know each other by, which no copy on this machine has', async () => {
    const now = { settings: mine, pair: 'OLD' }
    const changes = (pair?: string) => changesTo(now, { ...theirs, settings: mine, pair }, '').pair
    expect([changes('NEW'), changes('OLD'), changes()]).toEqual([
      ['the certificate by which they know each other'],
      [],
      [],
    ])
    expect(parseBackup(backupText({ settings: '', pair: 'PEM' }, '1.0.0'), 'x').pair).toBe('PEM')
    const host = memoryHost()
    expect(await host.read(await keepCopy(host, now, '1.0.0'))).not.toContain('OLD')
  })

  it('brings both authorities, whose keys no copy on this machine has either', async () => {
    const root = (certificate: string) => ({ certificate, key: `KEY OF ${certificate}`, names: ['ai.lan'] })
    const clients = (certificate: string) => ({ certificate, key: `KEY OF ${certificate}` })
    const now = { settings: mine, root: root('OLD'), clients: clients('OLD') }
    const changes = (certificate?: string) =>
      changesTo(
        now,
        { ...theirs, settings: mine, ...(certificate && { root: root(certificate), clients: clients(certificate) }) },
        '',
      ).pair
    expect([changes('NEW'), changes('OLD'), changes()]).toEqual([
      [
        'the root of own-ca, which clients of both need now',
        'the authority of client certificates: those that this gateway gave must be given anew',
      ],
      [],
      [],
    ])
    const secrets = { root: root('PEM'), clients: clients('PEM') }
    expect(parseBackup(backupText({ settings: '', ...secrets }, '1.0.0'), 'x')).toMatchObject(secrets)
    const host = memoryHost()
    expect(await host.read(await keepCopy(host, now, '1.0.0'))).not.toContain('OLD')
  })

  it('is taken by no machine that is none of a pair', () => {
    expect(() => forPair(theirs, 'port: 12000\n', 'house.json')).toThrow('no gateway of a pair')
  })
})

describe('the files of a backup', () => {
  it('are put back as they were, also what was not there or cannot be read', async () => {
    const host = memoryHost()
    const nothing = await present(host)
    await putFiles(host, { settings: 'port: 12000\n', keys: registry({}) })
    expect([...host.files.keys()].sort()).toEqual([at.keys, at.settings])
    await putFiles(host, nothing)
    expect(host.files.size).toBe(0)
    host.files.set(at.keys, 'torn')
    const torn = await present(host)
    expect(torn.keys).toBeUndefined()
    await keepCopy(host, torn, '0.1.0')
    expect([...host.files.values()].filter((text) => text === 'torn').length).toBe(2)
    await putFiles(host, torn)
    expect(host.files.get(at.keys)).toBe('torn')
  })

  it('are remembered with the time of the last one', async () => {
    const host = memoryHost()
    expect(await lastBackup(host)).toBeUndefined()
    await rememberBackup(host, '/Volumes/T7/house.json', new Date('2026-11-29T10:00:00Z'))
    expect(await lastBackup(host)).toEqual({ at: new Date('2026-11-29T10:00:00Z'), file: '/Volumes/T7/house.json' })
    host.files.set(`${at.state}/last-backup.json`, '{')
    expect(await lastBackup(host)).toBeUndefined()
  })

  it.each([
    ['{}', /was not written by/],
    [backupText({ settings: '' }, '1').replace('"version": 1', '"version": 9'), /form 9, this one knows 1/],
    [backupText({ settings: '', keys: registry({ 'A B': key(hash('A')) }) }, '1'), /a key named "A B"/],
    [backupText({ settings: 'port: 1\n' }, '1'), /settings\.yaml in house\.json has 1 fault/],
  ])('are refused when they cannot be right', (text, words) => {
    expect(() => parseBackup(text, 'house.json')).toThrow(words)
  })
})
