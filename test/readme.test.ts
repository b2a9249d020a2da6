import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { passedHeaders } from '../lib/gateway/policies/rewrite.ts'
import { exitCodes } from '../lib/host/command.ts'
import { consent, consentQuestion } from '../lib/parts/consent.ts'
import { endpointTable } from '../lib/site/endpoints.ts'
import { parseSettings } from '../lib/site/settings.ts'

const readme = readFileSync('README.md', 'utf8')
const template = readFileSync('templates/settings.yaml', 'utf8')

describe('the README', () => {
  it('has the table of endpoints as the code has it', () => {
    expect(readme).toContain(endpointTable())
  })

  it('has every exit code', () => {
    const codes = [...readme.matchAll(/^\| (\d+) \| /gm)].map((match) => Number(match[1]))
    expect(codes).toEqual(Object.values(exitCodes))
  })

  it('names every header that passes', () => {
    expect(passedHeaders.filter((name) => !readme.includes(name))).toEqual([])
  })

  it('promises the Node that package.json asks for, and so does what looks for one', () => {
    const wanted = /\d+\.\d+/.exec(JSON.parse(readFileSync('package.json', 'utf8')).engines.node)?.[0]
    for (const file of ['README.md', 'bootstrap.sh', 'templates/bin/jobs.sh', 'lib/ready.ts']) {
      const named = [...readFileSync(file, 'utf8').matchAll(/Node (\d+(?:\.\d+)?)/g)].map(([, version]) => version)
      expect([file, ...new Set(named)]).toEqual([file, wanted])
    }
  })

  it('says which scripts write a log of a run, and which write none', () => {
    const row = /^\| logs \| (.*); (.*) write none \|$/m.exec(readme)
    const named = (text = '') => [...text.matchAll(/`([\w-]+\.ts)`/g)].map((match) => match[1])
    const scripts = readdirSync('.').filter((name) =>
      /runScript/.test(name.endsWith('.ts') ? readFileSync(name, 'utf8') : ''),
    )
    const logging = scripts.filter((name) => /^ {4}log: /m.test(readFileSync(name, 'utf8')))
    expect(named(row?.[1]).sort()).toEqual(logging.sort())
    expect(named(row?.[2]).sort()).toEqual(scripts.filter((name) => !logging.includes(name)).sort())
  })

  it('was finished', () => {
    expect(readme).not.toMatch(/DEMO-OUTPUT|ENDPOINT-TABLE/)
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
      is: '  • Then all Ollama endpoints are reachable from the Tailscale network (including future ones)',
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
