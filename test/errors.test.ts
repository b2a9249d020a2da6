import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { explained, explanations } from '../lib/clients/errors.ts'
import { render } from '../lib/gateway/config.ts'
import { parseSettings } from '../lib/site/settings.ts'

const read = (name: string) => readFileSync(`templates/${name}`, 'utf8')
const templates = { config: read('haproxy.cfg'), frontend: read('frontend.cfg') }

/** One way in which HAProxy fills in what it knows only when it refuses. */
const filled = (message: string, way: number): string =>
  message.replaceAll(/%\[[^\]]*iif\(([^,]*),([^)]*)\)\]/g, `$${way}`).replaceAll(/%\[[^\]]*\]/g, '7')

/** All that the gateway may say by these settings, with a word in place of what it fills in. */
function said(yaml: string): string[] {
  const { text, files } = render(
    {
      settings: parseSettings(yaml, 'settings.yaml'),
      listeners: [{ name: 'tailnet', addresses: ['100.64.0.7'], port: 11434, sources: ['100.64.0.0/10'] }],
      hosts: ['100.64.0.7'],
      home: '/Users/ada',
      system: 'mac',
      listed: true,
    },
    templates,
  )
  const all = [text, ...Object.values(files)].join('\n')
  return [...all.matchAll(/Gateway: (.*?)(?:%\[var\(txn\.path\),map_beg|",")/g)]
    .flatMap(([, message = '']) => [1, 2].map((way) => `Gateway: ${filled(message, way)}`))
    .filter((message) => !/^Gateway: 7 7 7$/.test(message))
}

const examples = explanations.flatMap(({ id, examples }) =>
  examples.map(([client, text]): [string, string, string] => [client, text, id]),
)

describe('an error that a client prints', () => {
  it.each(examples)('%s: %s', (_client, text, id) => {
    expect(explained(text)?.id).toBe(id)
  })

  it('is told apart from what nobody knows', () => {
    expect(explained('the cat sat on the mat')).toBeUndefined()
  })

  it('is known by its status only where no word tells more, and by no other number', () => {
    expect(explained('curl: (7) Failed to connect to studio port 11434 after 504 ms')?.id).toBe('connection.refused')
    expect(explained('curl: (22) The requested URL returned error: 502')?.id).toBe('engine.invalid')
    expect(explained('100.64.1.404:413')).toBeUndefined()
  })

  it('has a cause and a way out in a sentence each, and an id of its own', () => {
    for (const { cause, next } of explanations)
      expect([cause, next]).toEqual(Array(2).fill(expect.stringMatching(/\S/)))
    const ids = explanations.map(({ id }) => id)
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([])
  })
})

describe('every text of the gateway', () => {
  it.each([
    '',
    'access: keys\nlimits: { per_minute: 9, concurrent: 2 }\ngroups: [ollama-cli, rag, completions, audio, launch]\norigins: []',
    'access: either\ninference: { slots: 1 }\nqueue: { max: 0 }\nlimits: { per_minute: 9, per_day: 2h }',
  ])('is known under %j', (yaml) => {
    const texts = said(yaml)
    expect(texts.length).toBeGreaterThan(20)
    expect(texts.filter((text) => explained(text) === undefined)).toEqual([])
  })
})
