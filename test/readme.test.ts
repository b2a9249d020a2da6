import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Verb, verbs } from '../lib/commands/verbs.ts'
import { passedHeaders } from '../lib/gateway/policies/rewrite.ts'
import { exitCodes } from '../lib/host/command.ts'
import { consent, consentQuestion } from '../lib/parts/consent.ts'
import { endpointTable } from '../lib/site/endpoints.ts'
import { parseSettings } from '../lib/site/settings.ts'

const read = (file: string): string => readFileSync(file, 'utf8')
const template = read('templates/settings.yaml')

describe('the README', () => {
  const readme = read('README.md')

  it('is short, and finished', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(151)
    expect(readme).not.toMatch(/OWNER|TODO|DEMO-OUTPUT/)
  })

  it('says at its beginning what has not been run', () => {
    const line = readme.split('\n').findIndex((text) => text.includes('on a real Mac'))
    expect(line).toBeGreaterThan(0)
    expect(line).toBeLessThan(25)
  })

  it('begins with commands that work as they are typed', () => {
    expect([...readme.matchAll(/^```sh\n([\s\S]*?)```/gm)].map(([, text]) => text)).toEqual([
      './bootstrap.sh\n',
      expect.stringMatching(/^npm ci && npm run demo .*\nnpm ci && npm test .*\n$/),
    ])
  })
})

describe('the pages say what the code does:', () => {
  it('the table of endpoints', () => {
    expect(read('docs/endpoints.md')).toContain(endpointTable())
  })

  it('every exit code', () => {
    const [, table = ''] = read('docs/wrong.md').split('## Exit codes')
    const codes = [...table.matchAll(/^\| (\d+) \| /gm)].map((match) => Number(match[1]))
    expect(codes).toEqual(Object.values(exitCodes))
  })

  it('every header that passes', () => {
    expect(passedHeaders.filter((name) => !read('docs/endpoints.md').includes(name))).toEqual([])
  })

  it('every limit of a key', () => {
    const limits = [
      'per-minute',
      'burst',
      'concurrent',
      'waiting',
      'per-day',
      'first-byte',
      'silence',
      'whole',
      'queue',
      'per-second',
    ]
    expect(limits.filter((flag) => !read('docs/limit.md').includes(`\`--${flag}`))).toEqual([])
  })

  it('the Node that package.json asks for, as does what looks for one', () => {
    const wanted = /\d+\.\d+/.exec(JSON.parse(read('package.json')).engines.node)?.[0]
    const looks = ['bootstrap.sh', 'templates/bin/jobs.sh', 'lib/ready.ts']
    for (const file of ['README.md', 'docs/install.md', 'docs/develop.md', ...looks]) {
      const named = [...read(file).matchAll(/Node (\d+(?:\.\d+)?)/g)].map(([, version]) => version)
      expect([file, ...new Set(named)]).toEqual([file, wanted])
    }
  })

  it('which commands write a log of a run, and which write none', async () => {
    const row = /^\| logs \| (.*); (.*) write none \|$/m.exec(read('docs/install.md'))
    const named = (text = '') => [...text.matchAll(/`([a-z]+)`/g)].map((match) => match[1])
    const logs = await Promise.all(
      Object.entries<Verb>(verbs).map(async ([verb, { script }]) => ({
        verb,
        log: (await script()).log !== undefined,
      })),
    )
    const verbsThat = (log: boolean) => logs.filter((one) => one.log === log).map(({ verb }) => verb)
    expect(named(row?.[1]).sort()).toEqual(verbsThat(true).sort())
    expect(named(row?.[2]).sort()).toEqual(verbsThat(false).sort())
  })
})

describe('the annotated settings', () => {
  it('are the defaults, line by line', () => {
    expect(parseSettings(template, 'settings.yaml')).toEqual(parseSettings('', 'settings.yaml'))
  })
})

describe('the consent screen', () => {
  const asked = `───────────────────────────────────────
Security Layer: HAProxy Proxy (Highly Recommended)
───────────────────────────────────────
This adds a security proxy between clients and Ollama.
Benefits:
  • Only allowlisted endpoints exposed (prevents accidental exposure)
  • Kernel-enforced isolation (Ollama unreachable from network)
  • Future-expandable (auth, rate limits can be added later)
Without proxy:
  • Ollama directly exposed to Tailscale network
  • All Ollama endpoints reachable (including future ones)
  • Higher risk of accidental exposure
Install HAProxy proxy? (Y/n)`

  /** What it says otherwise than it was asked for, and why. */
  const changed: { was: string; is: string; since: string }[] = [
    {
      was: '  • Future-expandable (auth, rate limits can be added later)',
      is: '  • API keys and limits for each person, whenever you want them (settings.yaml)',
      since: 'they exist (keys.ts, limits)',
    },
    {
      was: '  • Ollama directly exposed to Tailscale network',
      is: '  • Ollama answers on this Mac only, unless you say yes to the next question',
      since: 'no proxy alone exposes nothing: --no-proxy means this Mac only',
    },
    {
      was: '  • All Ollama endpoints reachable (including future ones)',
      is: '  • Then all Ollama endpoints are open to the tailnet (including future ones)',
      since: 'so it is only after that yes',
    },
  ]

  it('is the one that was asked for, word for word but for the lines that are listed with their reason', () => {
    const lines = asked.split('\n').map((line) => changed.find(({ was }) => was === line)?.is ?? line)
    expect(`${consent}\n${consentQuestion} (Y/n)`.replaceAll(/\n+/g, '\n').split('\n')).toEqual(lines)
    for (const { was, since } of changed)
      expect([asked.includes(was), since]).toEqual([true, expect.stringMatching(/\w/)])
  })

  it('keeps its title, its purpose and its question', () => {
    const kept = [
      'Security Layer: HAProxy Proxy (Highly Recommended)',
      'This adds a security proxy between clients and Ollama.',
    ]
    for (const line of kept) expect(consent.split('\n')).toContain(line)
    expect(consentQuestion).toBe('Install HAProxy proxy?')
    expect(changed.filter(({ was }) => [...kept, `${consentQuestion} (Y/n)`].includes(was))).toEqual([])
  })
})
