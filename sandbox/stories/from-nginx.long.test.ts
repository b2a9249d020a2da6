import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Engine, startEngine } from '../container/engine.ts'
import { fetched, type Project } from '../container/gateway.ts'
import { type Lan, startLan } from '../container/lan.ts'
import { laidOut, nginxGateway } from '../container/nginx-gateway.ts'
import { whyNot } from '../linux/why.ts'
import { eventually } from './await.ts'
import { dialogue, type Shell, shownIn, shows, startShell } from './typed.ts'

const why = whyNot()
const page = shownIn('from-nginx.md')
const typed = page.filter(({ lang }) => lang === 'sh')
const written = page.filter(({ lang }) => lang === 'yaml')
const [proven, change] = page.filter(({ lang }) => lang === '')
const key = 'your_generated_openssl_key_here'
const own = '192.168.1.5'
const machines = { gpu1: '192.168.1.101', gpu2: '192.168.1.102', laptop: '192.168.1.20', guest: '192.168.1.21' }

/** From the first block to the answer of the new gateway at the old one's place; what the page calls ten minutes. */
const mostMs = 600_000

describe.skipIf(why !== undefined)(`moving over from nginx as the page says${why ? ` (skipped: ${why})` : ''}`, () => {
  const home = mkdtempSync(join(tmpdir(), 'owner-'))
  const old = join(home, 'ollama-nginx-gateway')
  let engine: Engine
  let project: Project
  let lan: Lan
  let shell: Shell
  let begun: number

  const at = (name: string) => join(project.folder, name)
  const type = (line: string) => shell.type(line)
  /** What a client on another machine of the LAN gets: the answer's body and, after it, its status. */
  const ask = async (from: keyof typeof machines, bearer: string, words: string[]): Promise<string> => {
    const format = '\n%{http_code} %header{server}'
    const header = ['-H', `Authorization: Bearer ${bearer}`]
    return (await lan.on(from, ['curl', '-s', '-m', '30', '-w', format, ...header, ...words])).stdout
  }
  const models = [`http://${own}:8080/v1/models`]
  const question = '{"model": "llama3", "prompt": "Why is the sky blue?"}'
  const generate = ['-X', 'POST', `http://${own}:8080/api/generate`, '-d', question]

  beforeAll(async () => {
    engine = await startEngine({ dns: [own] })
    lan = await startLan(engine.network, own, machines, { 'ollama-gpu2.internal': machines.gpu2 })
    await Promise.all(['gpu1', 'gpu2'].map((one) => lan.ollama(one, ['llama3'])))
    project = await fetched(engine, [])
    await laidOut(engine, old)
    mkdirSync(join(home, 'bin'))
    // The owner is root here already.
    writeFileSync(join(home, 'bin/sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    const env = { ...engine.env, HOME: home, PATH: `${join(home, 'bin')}:${engine.env.PATH}` }
    shell = startShell(['ip', 'netns', 'exec', engine.network], project.above, env)
  })
  afterAll(async () => {
    shell?.close()
    await engine?.close()
    await lan?.close()
    project?.remove()
    rmSync(home, { recursive: true, force: true })
  })

  test('the old gateway answers a client of the LAN, by nginx', async () => {
    await shell.block({ lang: 'sh', lines: ['(cd ~/ollama-nginx-gateway && docker-compose up --build -d)'] })
    expect(
      await eventually('nginx answers', async () => /200 nginx/.exec(await ask('laptop', key, generate))),
    ).toBeTruthy()
    expect(await ask('laptop', 'nobodys', models)).toMatch(/401 nginx/)
  })

  test('its files are taken over, and the new one answers beside it with a key of before', async () => {
    begun = performance.now()
    await shell.block(typed[0])
    const settings = readFileSync(at('config/settings.yaml'), 'utf8')
    writeFileSync(at('config/settings.yaml'), settings.replace(/^hosts:.*$/m, written[0]?.lines.join('\n') ?? ''))
    expect((await shell.block(typed[1])).at(-1)?.text).toContain('{"object":"list","data":[{"id":"llama3:latest",')
    expect(await ask('laptop', key, models)).toMatch(/200 nginx/)
    const said = await eventually(
      'it has proven itself',
      async () => {
        const { text } = await type('docker logs ai-gateway')
        return text.includes('Ready') && text
      },
      120_000,
    )
    expect(shows(proven?.lines ?? [], said), said).toBe(true)
    expect(said).not.toContain('tailnet')
  })

  test('it takes the old one’s place, at the address that clients have', async () => {
    await shell.block(typed[2])
    await eventually('the new one answers', async () => /\n200 $/.test(await ask('laptop', key, models)), 120_000)
    expect(performance.now() - begun).toBeLessThan(mostMs)
    expect(await ask('laptop', key, generate)).toMatch(/"done":true[\s\S]*\n200 $/)
    expect(await ask('laptop', 'another_uuid_generated_key_here', models)).toMatch(/\n200 $/)
    // Until its beginning is over, another run of ours is told to wait.
    const said = await eventually(
      'its beginning is over',
      async () => {
        const { text } = await type('docker logs ai-gateway')
        return /^log: /m.test(text) && text
      },
      120_000,
    )
    expect(said).not.toMatch(/✗|\bmode 755\b/)
  })

  test('a change is typed and answered as the page shows it', async () => {
    for (const { line, lines } of dialogue('gateway$ ', change)) {
      const { text } = await type(line)
      expect(shows(lines, text), `${line}\n${text}`).toBe(true)
    }
    expect(await ask('laptop', 'third_key_of_somebody_else', models)).toMatch(/\n200 $/)
    expect(await ask('laptop', 'fourth_key_of_nobody', models)).toMatch(/\n401 $/)
  })

  test('what is otherwise is so', async () => {
    expect(await ask('laptop', key.toUpperCase(), models)).toMatch(/\n401 $/)
    expect(await ask('laptop', key, ['-X', 'DELETE', `http://${own}:8080/api/delete`])).toMatch(/\n403 $/)
    expect(await ask('laptop', key, ['-H', 'Host: other.internal:8080', ...models])).toMatch(/hosts[\s\S]*\n421 $/)
    await type(`sed -i '$d' config/api_keys.conf`)
    const nodes = readFileSync(at('config/upstream_ollama.conf'), 'utf8')
    writeFileSync(at('config/upstream_ollama.conf'), `${nodes}keepalive 16;\n`)
    const refused = await type('docker exec ai-gateway rop apply')
    expect([refused.code, refused.text]).toEqual([2, expect.stringMatching(/line \d+: keepalive is nothing/)])
    writeFileSync(at('config/upstream_ollama.conf'), nodes.replace(/(server [^;]*);/, '$1 weight=2 max_fails=3;'))
    expect((await type('docker exec ai-gateway rop apply')).code).toBe(0)
    expect((await type('docker exec ai-gateway rop status --report')).text).toMatch(/imported-1 +llama3/)
    expect(readFileSync(at('logs/haproxy.log'), 'utf8')).not.toMatch(/Why is the sky|your_generated/)
    let status = ''
    for (let tries = 0; tries < 200 && status !== '429'; tries += 1)
      status = (await ask('guest', `wrong-${tries}`, models)).trim().split('\n').at(-1)?.trim() ?? ''
    expect(status).toBe('429')
  })

  test('keys that only their owner may read are named, with what opens them', async () => {
    await type('chmod 600 config/api_keys.conf')
    const { code, text } = await type('docker exec ai-gateway rop apply')
    expect([code, text]).toEqual([
      expect.toSatisfy((n) => n !== 0),
      expect.stringContaining('/gateway/config/api_keys.conf is closed to this user'),
    ])
    await type('chmod a+r config/api_keys.conf')
    expect((await type('docker exec ai-gateway rop apply')).code).toBe(0)
  })

  test('the way back leads to the old one as it was', async () => {
    await shell.block(typed[3])
    await eventually('nginx answers', async () => /200 nginx/.test(await ask('laptop', key, generate)))
    for (const [name, text] of Object.entries(nginxGateway)) expect(readFileSync(join(old, name), 'utf8')).toBe(text)
    expect(typed).toHaveLength(4)
  })
})
