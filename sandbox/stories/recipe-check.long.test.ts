import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { swap } from '../../lib/haproxy/reload.ts'
import { renewServiceKeys } from '../../lib/parts/services.ts'
import { generateKey, hashKey } from '../../lib/people/key.ts'
import { emptyReceipt } from '../../lib/site/receipt.ts'
import { packages } from '../box/packages.ts'
import { checkout } from '../box/paths.ts'
import { authority, pem } from '../lab/certificates.ts'
import { type Engine, startEngine } from '../lab/engine.ts'
import { eventually, freePort, ownAddress, type RunningGateway, startGateway } from '../lab/gateway.ts'
import { exchange, request } from '../lab/raw.ts'
import { startApi } from '../services/api.ts'
import { startLitellm } from '../services/litellm.ts'
import { type Names, startNames } from '../services/names.ts'
import { startOpenWebui } from '../services/open-webui.ts'
import type { Serving } from '../services/program.ts'
import { type Provider, startProvider } from '../services/provider.ts'

const domain = 'example.net'
const names = { chat: `chat.${domain}`, openai: `openai.${domain}`, id: `id.${domain}` }
const ca = authority('a test')
const [secret, master] = [generateKey(), `sk-${generateKey()}`]
const registry = {
  version: 1 as const,
  keys: { 'open-webui': { created: '2026-01-01T00:00:00.000Z', hashes: [{ sha256: hashKey(secret) }] } },
}
const why = process.getuid?.() === 0 ? undefined : 'port 443 is for root alone'

/** Something that can be ended and started again. */
interface Part {
  stop(): Promise<unknown>
  start(): Promise<unknown>
}

/** Leads a port of an address to a program of this machine, as Docker does with one that it publishes. */
async function published(address: string, port: number, to: number): Promise<Part> {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const there = connect(to, '127.0.0.1')
    for (const one of [client, there]) {
      open.add(one)
      one.on('error', () => [client, there].forEach((each) => void each.destroy()))
    }
    client.pipe(there).pipe(client)
  })
  const start = async () => void (await once(server.listen(port, address), 'listening'))
  await start()
  return {
    start,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      for (const one of open) one.destroy()
      await closed
    },
  }
}

describe.skipIf(why !== undefined)(`a deployed stack${why ? ` (skipped: ${why})` : ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'recipe-'))
  const gpu = ownAddress()
  let ollama: Engine
  let apis: Awaited<ReturnType<typeof startApi>>[] = []
  let ports: Record<'ollama' | 'qdrant' | 'vllm', Part>
  let gateway: RunningGateway
  let provider: Provider
  let found: Names
  let webui: Serving
  let litellm: Serving
  let settings: (more?: string) => string
  let resolver: string
  let dns: (without?: string) => Promise<void>
  let endDns = async () => {}

  /** What the command says of each line, and its exit code. */
  const checked = async (...more: string[]) => {
    const words = ['recipe', 'ai-stack', '--check', '--set', `domain=${domain}`, '--resolver', resolver, ...more]
    return new Promise<{ code: number; lines: string[] }>((resolve) =>
      execFile(
        process.execPath,
        ['--import', 'tsx', 'rop.ts', ...words],
        { cwd: checkout, env: { ...process.env, HOME: folder } },
        (error, stdout) => resolve({ code: Number(error?.code ?? 0), lines: stdout.trim().split('\n') }),
      ),
    )
  }
  const red = async () => (await checked()).lines.filter((line) => !line.startsWith('✓'))
  const ask = (of: keyof typeof names, row: string, headers: string[] = []) =>
    exchange(
      { address: gateway.address, port: 443, tls: { servername: names[of] } },
      request(`${row} HTTP/1.1`, [`Host: ${names[of]}`, ...headers]),
    )
  const answers = (of: keyof typeof names, path: string) =>
    eventually(`${of} is reached`, async () => (await ask(of, `GET ${path}`)).status === 200)

  async function startDns() {
    const from = await packages(['dnsmasq-base'])
    const port = await freePort('127.0.0.1')
    resolver = `127.0.0.1:${port}`
    const file = join(folder, 'dnsmasq.conf')
    dns = async (without) => {
      await endDns()
      const records = [
        `host-record=gateway.${domain},${gateway.address}`,
        `host-record=gpu.${domain},${gpu}`,
        ...['chat', 'openai'].map((name) => `cname=${name}.${domain},gateway.${domain}`),
        ...['ollama', 'qdrant', 'vllm'].map((name) => `cname=${name}.${domain},gpu.${domain}`),
      ].filter((line) => without === undefined || !line.includes(without))
      writeFileSync(file, [...records, `local=/${domain}/`, 'no-resolv', 'no-hosts', 'bind-interfaces', ''].join('\n'))
      const words = ['--keep-in-foreground', `--conf-file=${file}`, '--listen-address=127.0.0.1', `--port=${port}`]
      const env = { ...process.env, LD_LIBRARY_PATH: from.libraryPath }
      const running = spawn(from.bin('dnsmasq'), [...words, '--user=', '--pid-file='], { stdio: 'ignore', env })
      endDns = async () => {
        const gone = once(running, 'exit')
        running.kill()
        await gone
      }
      await eventually(
        'dnsmasq answers',
        async () => (await gateway.machine.resolve({ resolver, name: `gpu.${domain}` })) !== undefined,
      )
    }
    await dns()
  }

  async function startChat(oidc = true) {
    const client = { id: 'openwebui', secret: generateKey(), redirect: `https://${names.chat}/oauth/oidc/callback` }
    provider ??= await startProvider(`https://${names.id}`, await providerPort, [client], [`ann@${domain}`])
    const { id, secret: own } = client
    const sso = { issuer: `https://${names.id}`, id, secret: own, ca: join(folder, 'ca.pem'), domain }
    webui = await startOpenWebui({
      ...{
        folder: join(folder, 'data'),
        url: `https://${names.chat}`,
        engine: `http://${gateway.host}/v1`,
        key: secret,
      },
      ...{ admin: { email: `owner@${domain}`, password: generateKey() }, port: await webuiPort },
      ...(oidc ? { oidc: sso } : {}),
      env: { ...found.env, NO_PROXY: `127.0.0.1,${gateway.address}` },
    })
    await answers('chat', '/health')
  }
  const providerPort = freePort('127.0.0.1')
  const webuiPort = freePort('127.0.0.1')

  beforeAll(async () => {
    writeFileSync(join(folder, 'ca.pem'), ca.cert)
    ollama = await startEngine('gpu', 'ollama', ['qwen2.5-coder:14b'])
    apis = [await startApi('a stand-in for Qdrant', '/readyz'), await startApi('a stand-in for vLLM', '/health')]
    const [qdrant, vllm] = apis
    ports = {
      ollama: await published(gpu, 11_434, ollama.port),
      qdrant: await published(gpu, 6333, qdrant?.port ?? 0),
      vllm: await published(gpu, 8000, vllm?.port ?? 0),
    }
    litellm = await startLitellm({
      folder: join(folder, 'litellm'),
      masterKey: master,
      models: { lab: `http://${gpu}:8000/v1` },
    })
    const [page, id] = [await webuiPort, await providerPort]
    settings = (more = ', sign_in: chat') => `access: keys
tls: { ${Object.values(names)
      .map((name) => `${name}: own-ca`)
      .join(', ')} }
listeners: { tailnet: { tls_port: 443 } }
services:
  chat: { kind: open-webui, name: ${names.chat}, backend: 'localhost:${page}' }
  openai: { kind: litellm, name: ${names.openai}, backend: 'localhost:${litellm.port}', key: 'file:~/litellm.key'${more} }
  id: { kind: page, name: ${names.id}, backend: 'localhost:${id}' }
`
    gateway = await startGateway({
      ...{ enginePort: ollama.port, registry, settings: settings() },
      certificates: Object.fromEntries(Object.values(names).map((name) => [`${name}.pem`, pem(ca.server(name))])),
    })
    await gateway.machine.write(`${gateway.home}/litellm.key`, `${master}\n`, 0o600)
    await renewServiceKeys(gateway.machine, gateway.gateway.settings)
    found = await startNames(gateway.address)
    await startChat()
    await startDns()
  })
  afterAll(async () => {
    await endDns()
    for (const part of [webui, litellm, provider, found, gateway, ollama?.recorder, ...apis]) await part?.stop()
    for (const part of Object.values(ports ?? {})) await part.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('is as promised in every line', async () => {
    const { code, lines } = await checked()
    expect(lines.filter((line) => !line.startsWith('✓'))).toEqual([])
    expect(lines).toHaveLength(10)
    expect(lines[0]).toBe(`✓ the resolver knows ${names.chat}: gateway.${domain}`)
    expect(lines.at(-2)).toMatch(/: 302 to https:\/\/id\.example\.net\/auth\?/)
    expect(lines.at(-1)).toMatch(/: 302 to https:\/\/chat\.example\.net\/oauth\/oidc\/login$/)
    expect(code).toBe(0)
    const listed = await ask('openai', 'GET /v1/models', [`Authorization: Bearer ${secret}`])
    expect([listed.status, listed.body]).toEqual([200, expect.stringContaining('"lab"')])
  })

  test('the first page of Open WebUI leads nobody on by itself', async () => {
    expect((await ask('chat', 'HEAD /')).status).toBe(200)
  })

  test.each(['ollama', 'qdrant', 'vllm'] as const)('says it of %s alone where that is down', async (name) => {
    await ports[name].stop()
    expect(await red()).toEqual([
      expect.stringMatching(new RegExp(`no answer from ${name}\\.example\\.net:.*docker compose ps$`)),
    ])
    expect((await checked()).code).toBe(1)
    await ports[name].start()
    expect(await red()).toEqual([])
  })

  test.each(['chat', 'openai', 'ollama', 'qdrant', 'vllm'])(
    'says it of the name %s alone where it has no record',
    async (name) => {
      await dns(`cname=${name}.`)
      const [first, ...more] = await red()
      expect(first).toMatch(
        new RegExp(`^✗ the resolver knows ${name}\\.example\\.net: it has no CNAME record of it\\. Add the record`),
      )
      expect(more.every((line) => line.includes(`${name}.${domain}`))).toBe(true)
      await dns()
    },
  )

  test('says that an alias leads to nobody', async () => {
    await dns('host-record=gpu.')
    expect((await red()).map((line) => /no answer from (\w+)/.exec(line)?.[1])).toEqual(['ollama', 'qdrant', 'vllm'])
    await dns()
  })

  test('says that the API sends nobody to sign in', async () => {
    const change = async (text: string) =>
      swap(gateway.machine, {
        receipt: emptyReceipt(),
        configuration: gateway.rendered(text),
        haproxy: gateway.program,
      })
    await change(settings(''))
    expect(await red()).toEqual([expect.stringMatching(/^✗ the API sends .*: 401; 302 is expected\./)])
    await change(settings())
    await eventually('all is well', async () => (await red()).length === 0, 60_000)
  })

  test('says that the chat page knows no provider, and that it is down', async () => {
    await webui.stop()
    await eventually('it is down', async () => (await ask('chat', 'GET /')).status === 503)
    expect(await red()).toEqual([expect.stringMatching(/^✗ the chat page sends .*: 503; 302 is expected\./)])
    await startChat(false)
    expect(await red()).toEqual([expect.stringMatching(/^✗ the chat page sends .*; 302 is expected\./)])
  })

  test('a resolver that is none is refused before anybody is asked', async () => {
    expect(await checked('--resolver', 'ns.example.net')).toEqual({ code: 2, lines: [''] })
  })
})
