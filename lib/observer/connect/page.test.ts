import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { clients } from '../../clients/index.ts'
import { sharing } from '../../clients/sharing.ts'
import { groups } from '../../site/endpoints.ts'
import { html } from './html.ts'
import { headers } from './look.ts'
import { page, type Shown } from './page.ts'
import { type Visit, visitOf } from './visit.ts'

const told = {
  ...{ host: 'studio:11434', address: '100.64.0.1', peer: 'ann@example.com|laptop', who: '', groups: '', models: '' },
  ...{ offered: '', access: 'tailnet', here: '', open: Object.keys(groups).join(), keyless: 'probe' },
}
const visit = (more: Partial<typeof told> = {}): Visit => {
  const found = visitOf(JSON.stringify({ ...told, ...more }))
  if (!found) throw new Error('no visit')
  return found
}
const shown = (more: Partial<Shown> = {}): string =>
  page({ visit: visit(), models: ['qwen3:8b'], model: 'qwen3:8b', context: 16_384, ...more })

describe('a value in HTML', () => {
  test.each(['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onclick='x", '&lt;', '💥 </title>'])(
    '%s is text, inside an element and inside an attribute',
    (value) => {
      const text = html`<p title="${value}">${value}</p>`.text
      expect(text.replace(/^<p title="|<\/p>$/g, '').replace('">', '')).not.toMatch(/[<>"']|&(?!amp|lt|gt|quot|#39)/)
    },
  )
  test('stays as it is where it was HTML already, also in a list', () => {
    expect(html`<ul>${[html`<li>${'a&b'}</li>`]}</ul>`.text).toBe('<ul><li>a&amp;b</li></ul>')
  })
})

describe('the page', () => {
  test('escapes what comes from the tailnet, from Ollama and from the client records', () => {
    const evil = '<script>alert("1")</script>💥\''
    const visitor = { ...visit(), login: evil, device: evil, who: evil, base: `http://${evil}` }
    const text = shown({ visit: visitor, models: [evil, 'b'], model: evil })
    expect(text.match(/<script/g)).toHaveLength(1)
    expect(text).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;💥&#39;')
  })

  test('is allowed its own style and script by their hashes, and has no handler or style in an attribute', () => {
    const text = shown()
    for (const name of ['style', 'script']) {
      const inside = text.split(`<${name}>`)[1]?.split(`</${name}>`)[0] ?? ''
      const hash = createHash('sha256').update(inside).digest('base64')
      expect(headers['content-security-policy']).toContain(`${name}-src 'sha256-${hash}'`)
    }
    expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|https?:|nonce/)
    expect(text).not.toMatch(/\son\w+=|\sstyle=|javascript:/)
  })

  test('has every client that can be connected, and why the others cannot', () => {
    const text = shown()
    for (const { title, never } of clients) expect(text).toContain(never ? `<b>${title}.</b>` : `<summary>${title}</`)
  })

  test('says what a client misses here', () => {
    const text = shown({ visit: visit({ open: 'openai,probe' }) })
    expect(text).toContain('It asks what is not open to you here (anthropic, count-tokens)')
    expect(shown()).not.toContain('not open to you here')
  })

  test('names no key, and any word where none is needed', () => {
    expect(shown()).not.toContain('YOUR_KEY')
    const keyed = shown({ visit: visit({ access: 'keys' }) })
    expect(keyed).toContain('ANTHROPIC_AUTH_TOKEN=YOUR_KEY')
    expect(keyed).not.toMatch(/rop_/)
  })

  test('says that Ollama does not answer, and that nobody has a model for them', () => {
    expect(shown({ models: undefined, model: '' })).toContain('Ollama does not answer')
    expect(shown({ models: [], model: '' })).toContain('There is none for you yet')
  })
})

describe('what the gateway says of a visitor', () => {
  test.each([
    ['no JSON', 'x'],
    ['nothing', ''],
    ['another host than a name', JSON.stringify({ ...told, host: 'a"><b' })],
    ['no access', JSON.stringify({ ...told, access: '' })],
  ])('is not taken when it is %s', (_, text) => expect(visitOf(text)).toBeUndefined())

  test.each<[string, Partial<typeof told>, string[], boolean]>([
    ['the tailnet alone', { open: 'openai,anthropic' }, ['openai', 'anthropic'], false],
    ['a rule that takes away', { open: 'openai,anthropic', who: 'ann@example.com', groups: '4' }, ['anthropic'], false],
    ['no key where one is asked for', { access: 'keys', open: 'openai,probe' }, ['probe'], true],
    [
      'a key',
      { access: 'keys', open: 'openai,probe', who: 'bob', groups: '1', offered: '1' },
      ['openai', 'probe'],
      true,
    ],
    [
      'a rule that lets in',
      { access: 'either', open: 'openai', who: 'ann@example.com', groups: '1' },
      ['openai'],
      false,
    ],
    ['a listener on which less is open', { here: '4', open: 'openai,anthropic' }, ['anthropic'], false],
  ])('with %s', (_, more, may, needsKey) => {
    expect(visit(more)).toMatchObject({ may, needsKey })
  })
})

test('docs/share.md has every sentence of the friend’s way', () => {
  const docs = readFileSync('docs/share.md', 'utf8')
  const ways = sharing({ address: '100.x.y.z', port: 11434, typed: (command) => `rop ${command}` })
  for (const { title, steps, paste } of ways)
    for (const text of [title, ...steps, paste?.text ?? '']) expect(docs).toContain(text)
})
