import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { identities } from '../observer/duties/identities.ts'
import { places } from '../platform/mac/places.ts'
import { type Peer, parsePeers } from '../platform/peers.ts'
import { noKeys } from '../site/limits.ts'
import { budgeted, parseSettings } from '../site/settings.ts'
import { identityLines, ruleFor, ruleLines } from './identities.ts'
import { budgetLines } from './records.ts'
import { identityStep } from './refresh.ts'

const recorded = (name: string): string =>
  readFileSync(`sandbox/transcripts/tailscale/${name}.status-json.json`, 'utf8')
const settings = (people: object, more = 'access: either') =>
  parseSettings(`${more}\npeople: ${JSON.stringify(people)}`, 'settings.yaml')
const peer = (more: Partial<Peer> = {}): Peer => ({
  ...{ addresses: ['100.64.0.7', 'fd7a:115c:a1e0::7'], tags: [], device: 'laptop', own: false },
  ...more,
})
const maps = (peers: Peer[], people: object) => identityLines(peers, ruleLines(settings(people)), 1_000_000)

/** A status in Tailscale's form with one peer made up here and there. */
const status = (more: object, logins: Record<string, string> = { 1: 'ann@example.com' }): string =>
  JSON.stringify({
    BackendState: 'Running',
    MagicDNSSuffix: 'tail0lab.ts.net',
    Self: { DNSName: 'studio.tail0lab.ts.net.', UserID: 1, TailscaleIPs: ['100.64.0.1'] },
    Peer: { a: { DNSName: 'laptop.tail0lab.ts.net.', UserID: 1, TailscaleIPs: ['100.64.0.7'], ...more } },
    User: Object.fromEntries(Object.entries(logins).map(([id, LoginName]) => [id, { ID: Number(id), LoginName }])),
  })

describe('the devices of the tailnet', () => {
  it.each([
    ['Peer', { Peer: { x: null } }],
    ['Peer, with addresses that are none', { Peer: { x: { TailscaleIPs: 7 } } }],
    ['User', { User: { 7: null } }],
    ['Self', { Self: null }],
  ])('are read past entries of %s that are nothing', (_where, more) => {
    const json = JSON.parse(status({})) as Record<string, object>
    const text = JSON.stringify({
      ...json,
      ...more,
      ...('Peer' in more && { Peer: { ...more.Peer, ...json.Peer } }),
      ...('User' in more && { User: { ...more.User, ...json.User } }),
    })
    expect(parsePeers(text)).toContainEqual(expect.objectContaining({ device: 'laptop', login: 'ann@example.com' }))
  })

  it('are this tailnet’s also where MagicDNS is off and only this machine’s name tells the suffix', () => {
    const json = { ...JSON.parse(status({ Tags: ['tag:ci'] })), MagicDNSSuffix: '' }
    expect(parsePeers(JSON.stringify(json))?.[1]).toMatchObject({ device: 'laptop', tags: ['tag:ci'] })
  })

  it('that another tailnet shares have their whole name, and none of its tags', () => {
    const shared = status({ DNSName: 'laptop.tail9other.ts.net.', Tags: ['tag:ci'], UserID: 9 })
    expect(parsePeers(shared)?.[1]).toMatchObject({ device: 'laptop.tail9other.ts.net', tags: [], login: undefined })
  })

  it('are read from what Tailscale says, with both addresses, login and MagicDNS name', () => {
    const [own, other] = parsePeers(recorded('running')) ?? []
    expect(own).toMatchObject({ own: true, login: 'user-1@fake-control.example.net', device: 'node-a' })
    expect(other).toEqual({
      addresses: ['100.64.0.2', 'fd7a:115c:a1e0:ab12:4843:cd96:6240:2'],
      ...{ login: 'user-2@fake-control.example.net', tags: [], device: 'node-b', own: false },
    })
  })

  it('have logins under headscale, too, written as its policies write them', () => {
    expect(parsePeers(recorded('headscale'))?.map(({ login, device }) => [login, device])).toEqual([
      ['u@', 'node-a'],
      ['u@', 'node-b'],
    ])
  })

  it.each(['stopped', 'expired', 'loggedout', 'needsapproval', 'needslogin', 'fresh', 'headscale.expired', 'noderp'])(
    'are unknown while Tailscale is %s',
    (state) => expect(parsePeers(recorded(state))).toBeUndefined(),
  )

  it.each(['', 'The Tailscale GUI failed to start: …', '{}', '[]'])('are unknown when it says %j', (text) =>
    expect(parsePeers(text)).toBeUndefined(),
  )

  it('that are tagged are nobody’s', () => {
    expect(parsePeers(status({ Tags: ['tag:ci'] }))?.[1]).toMatchObject({ login: undefined, tags: ['tag:ci'] })
  })

  it('that another tailnet shares keep their whole name, and their tags count for nothing here', () => {
    const [, shared] = parsePeers(status({ DNSName: 'laptop.tail666.ts.net.', Tags: ['tag:ci'] })) ?? []
    expect(shared).toMatchObject({ device: 'laptop.tail666.ts.net', tags: [] })
    expect(ruleFor(shared ?? peer(), ['device:laptop', 'tag:ci'])).toBeUndefined()
  })

  it('are not known by what they call themselves', () => {
    expect(parsePeers(status({ HostName: 'boss', DNSName: 'boss-1.tail0lab.ts.net.' }))?.[1]?.device).toBe('boss-1')
  })
})

describe('the rule for somebody', () => {
  const ann = peer({ login: 'ann@example.com' })
  it('is that of the device, else of the login, else the first of a tag', () => {
    expect(ruleFor(ann, ['ann@example.com', 'device:laptop'])).toBe('device:laptop')
    expect(ruleFor(ann, ['device:other', 'ann@example.com'])).toBe('ann@example.com')
    expect(ruleFor(peer({ tags: ['tag:a', 'tag:ci'] }), ['tag:ci', 'tag:a'])).toBe('tag:ci')
    expect(ruleFor(ann, ['bob@example.com', 'tag:ci', 'device:lap'])).toBeUndefined()
  })

  it('gives each of its addresses the record that a key would have, until five minutes from now', () => {
    const people = { 'ann@example.com': { groups: ['metadata'], per_minute: 60, concurrent: 4, models: ['qwen3*'] } }
    expect([...maps([ann], people)['people.map']]).toEqual([
      ['100.64.0.7', expect.stringMatching(/^ann@example\.com\|1300\|8\|60\|4\|list\|/)],
      ['fd7a:115c:a1e0::7', expect.stringMatching(/^ann@example\.com\|1300\|8\|60\|4\|list\|/)],
    ])
  })

  it('is not asked for this machine itself, nor where only keys count', () => {
    expect(maps([peer({ login: 'ann@example.com', own: true })], { 'ann@example.com': {} })['people.map'].size).toBe(0)
    expect(ruleLines(settings({ 'ann@example.com': {} }, 'access: keys')).size).toBe(0)
  })

  it('names every device for the log, and no name brings more than letters into a map or a command', () => {
    const hostile = 'a|b; shutdown\r\nadd map #0 x y\u00a0"é\\'
    const peers = parsePeers(status({ DNSName: `${hostile}.tail0lab.ts.net.` }, { 1: `Eve; ${hostile}@x` })) ?? []
    const lines = maps(peers, { 'ann@example.com': {} })
    expect(lines['people.map'].size).toBe(0)
    expect(lines['devices.map'].get('100.64.0.7')).toMatch(/^[\w.@:+-]{1,100}\|[\w.@:+-]{1,100}$/)
    const long = parsePeers(status({ DNSName: `${'x'.repeat(5000)}.tail0lab.ts.net.` })) ?? []
    expect(maps(long, {})['devices.map'].get('100.64.0.7')?.length).toBeLessThan(220)
    expect(parsePeers(status({ TailscaleIPs: ['100.64.0.7; shutdown', '0.0.0.0/0'] }))?.[1]?.addresses).toEqual([])
  })
})

describe('a refresh', () => {
  const cli = '/opt/homebrew/bin/tailscale'
  const asked = `env TAILSCALE_BE_CLI=1 ${cli} status --json`
  const { keyMaps } = places('/Users/ada')
  const machine = (people: object, text: string) =>
    memoryHost({
      files: new Map([
        [cli, ''],
        [`${keyMaps}/probes.lst`, 'a-word'],
        [
          `${keyMaps}/rules.map`,
          [...ruleLines(settings(people))].map(([rule, record]) => `${rule} ${record}\n`).join(''),
        ],
      ]),
      commands: { [asked]: { stdout: text } },
    })

  it('writes who may what and who is who, by the rules that were published, not those being edited', async () => {
    const host = machine({ 'user-2@fake-control.example.net': {} }, recorded('running'))
    await identities().run(host)
    expect(host.files.get(`${keyMaps}/people.map`)).toMatch(
      /^100\.64\.0\.2 user-2@fake-control\.example\.net\|\d{10}\|/,
    )
    expect(host.files.get(`${keyMaps}/devices.map`)).toContain('100.64.0.1 user-1@fake-control.example.net|node-a\n')
    expect(await identityStep(settings({ 'user-2@fake-control.example.net': {} })).check(host)).toMatchObject({
      is: 'ok',
      saw: expect.stringMatching(/^2 addresses have a rule; \d s old$/),
    })
    expect(await identityStep(settings({ 'device:node-b': {} })).check(host)).toMatchObject({
      is: 'missed',
      saw: 'the gateway has another list than Tailscale and the settings give',
    })
  })

  it('leaves everything as it is while Tailscale is not up, and says so once that is no mere off and on', async () => {
    const host = machine({ 'tag:ci': {} }, recorded('stopped'))
    let now = 0
    const duty = identities(() => now)
    now = 60_000
    await duty.run(host)
    now = 91_000
    await expect(duty.run(host)).rejects.toThrow(/counts for 5 minutes/)
    expect(host.files.has(`${keyMaps}/people.map`)).toBe(false)
  })

  it('that does not come is seen by status.ts, with the age', async () => {
    const host = machine({ 'user-2@fake-control.example.net': {} }, recorded('running'))
    await identities().run(host)
    const then = Math.floor(Date.now() / 1000) - 400
    const text = host.files.get(`${keyMaps}/people.map`) ?? ''
    host.files.set(`${keyMaps}/people.map`, text.replaceAll(/\|\d{10}\|/g, `|${then + 300}|`))
    expect(await identityStep(settings({ 'user-2@fake-control.example.net': {} })).check(host)).toMatchObject({
      is: 'missed',
      saw: expect.stringMatching(/^2 addresses have a rule; 40\d s old, over 5 minutes$/),
    })
    // As a clock leaves it that was set back by an hour.
    host.files.set(`${keyMaps}/people.map`, text.replaceAll(/\|\d{10}\|/g, `|${then + 400 + 3900}|`))
    expect(await identityStep(settings({ 'user-2@fake-control.example.net': {} })).check(host)).toMatchObject({
      is: 'missed',
      saw: expect.stringMatching(/^2 addresses have a rule; from 3(599|600) s ahead: the clock was set back$/),
    })
  })
})

describe('people in the settings', () => {
  it.each([
    ['Ann@example.com', 'in small letters'],
    ['ann', 'a login such as'],
    ['tag:', 'a login such as'],
    ['device:a b', 'a login such as'],
    ["o'x@example.com; shutdown", 'a login such as'],
    [`${'a'.repeat(100)}@x`, '100'],
  ])('%s is no rule', (rule, why) => expect(() => settings({ [rule]: {} })).toThrow(why))

  it.each([
    [{ groups: ['manage'] }, 'people.tag:ci.groups.0: group "manage" cannot be opened'],
    [{ groups: [] }, 'people.tag:ci.groups'],
    [{ models: ['a b'] }, 'a model or a pattern'],
    [{ per_minute: 0 }, 'people.tag:ci.per_minute'],
    [{ admin: true }, 'people.tag:ci.admin: there is no such setting'],
  ])('%j is refused with its place', (limits, why) => expect(() => settings({ 'tag:ci': limits })).toThrow(why))

  it('may have a share of the day, which the observer counts', () => {
    const given = settings({ 'tag:ci': { per_day: '2h,200MB' }, 'ann@example.com': {} }, 'access: tailnet')
    expect(budgeted(given)).toBe(true)
    expect([...budgetLines(noKeys, given)]).toEqual([['tag:ci', `7200|${200 * 1024 ** 2}`]])
    expect(() => settings({ 'tag:ci': { per_day: 'much' } })).toThrow('people.tag:ci.per_day: a share of the day')
  })

  it('may name presets', () => {
    expect(settings({ 'tag:ci': { groups: ['rag'] } }).people['tag:ci']?.groups).toContain('embeddings')
  })
})
