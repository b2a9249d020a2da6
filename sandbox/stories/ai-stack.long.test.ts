import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ran, run } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { composeProgram } from '../container/engine.ts'
import { type BootedAuthority, startAuthority } from '../linux/authority.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { startNames, startStack } from '../linux/stack.ts'
import { whyNot } from '../linux/why.ts'
import { eventually } from './await.ts'
import { shownIn, shows } from './typed.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const page = shownIn('ai-stack.md')
const of = (lang: string) => page.filter((block) => block.lang === lang).map(({ lines }) => lines.join('\n'))
const [ui = '', gpu = '', start = '', secrets = '', gateway = '', check = ''] = of('sh')
const [names = ''] = of('conf')
const [settings = ''] = of('yaml')
const [records = '', checked = ''] = of('')
const etc = '/etc/remote-ollama-proxy/settings.yaml'

let machine: Booted
let authority: BootedAuthority
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
/** A block as root types it, in one shell. */
const type = (block: string): Promise<Ran> => machine.run(['bash', '-ec', block])
async function typed(block: string, right = 0): Promise<string> {
  const outcome = await type(block)
  expectGreen(outcome.code, told(outcome), right)
  return outcome.stdout
}

/** The compose.yaml of a machine as Docker Compose understands it with the .env beside it. */
async function understood(address: string): Promise<{ services: Record<string, { ports?: object[] }> }> {
  const folder = mkdtempSync(join(tmpdir(), 'stack-'))
  for (const name of ['compose.yaml', '.env'])
    writeFileSync(join(folder, name), (await machine.read(`/disks/${address}/${name}`)) ?? '', { mode: 0o600 })
  const { code, stdout, stderr } = await run(await composeProgram(), [
    ...['--project-directory', folder, 'config', '--format', 'json'],
  ])
  rmSync(folder, { recursive: true })
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

describe.skipIf(why !== undefined)(`an AI stack as the page says${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    await typed('apt-get update -q && apt-get install -q -y --no-install-recommends pebble dnsmasq-base')
    await startStack(machine)
    authority = await startAuthority(machine, 86_400)
    await typed(`install -D -m 600 /dev/null ${etc} && echo 'role: gateway' > ${etc}`)
    // It has no node yet.
    await typed(`cd ${checkout} && ./bootstrap.sh --yes`, 5)
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('writes the files of both machines, and Docker Compose publishes each service on the one address', async () => {
    for (const [block, address] of [
      [ui, '10.2.1.130'],
      [gpu, '10.2.1.140'],
    ] as const) {
      expect(await typed(block)).toContain('/opt/stacks/ai/.env written, for its owner alone.')
      // One disk stands for both machines here.
      await typed(`mkdir -p /disks && mv /opt/stacks/ai /disks/${address} && mkdir /opt/stacks/ai`)
      const ports = Object.values((await understood(address)).services).flatMap((one) => one.ports ?? [])
      expect(ports.length).toBeGreaterThan(1)
      for (const port of ports) expect(port).toMatchObject({ host_ip: address })
    }
    expect(await machine.read('/srv/docker/litellm/config/config.yaml')).toContain('http://ollama.example.net:11434')
  })

  test('puts the gateway in front, which has certificates and the key that the chat page goes on sending', async () => {
    await startNames(machine, names.split('\n'))
    await typed(secrets)
    // A public authority and somebody's DNS cannot be had; all else stands as on the page.
    const ours = settings.replace(/^acme:.*$/m, `acme: ${JSON.stringify(authority.setting)}`)
    await typed(`cat > ${etc} <<'END'\n${ours}\nEND`)
    let said = ''
    for (const line of gateway.split('\n')) said += await typed(`cd; ${line}`)
    expect(said).toContain('open-webui')
    expect(shows(records.split('\n'), said), said).toBe(true)
    expect((await type('ls ~/ui.env')).code).not.toBe(0)
    const own = said.split('\n').filter((line) => /^(host-record|cname)=/.test(line))
    await startNames(machine, [...new Set([...names.split('\n'), ...own])])
  })

  test('finds that it runs as promised', async () => {
    expect((await typed(check)).trim()).toBe(checked)
    await typed('systemctl stop service-6333')
    const { code, stdout } = await type(check)
    expect([code, stdout]).toEqual([1, expect.stringMatching(/✗ Qdrant is ready: no answer/)])
    await typed(
      'systemctl reset-failed; systemd-run -q --unit=service-6333 -p NetworkNamespacePath=/run/netns/gpu /opt/outside/node /opt/service.mjs 6333',
    )
  })

  test('lets a visitor in with that key, and shows LiteLLM and Qdrant their own', async () => {
    const ask = (name: string, port: number, path: string, more = '') =>
      type(
        `ip netns exec visitor curl -sS -m 20 -w ' %{http_code}' --cacert ${authority.root} --resolve ${name}:${port}:10.2.1.120 ${more} https://${name}:${port}${path}`,
      )
    const master = (await typed('cat ~/litellm.key')).trim()
    const bearer = `-H 'Authorization: Bearer ${master}'`
    expect((await ask('openai.example.net', 443, '/v1/models', bearer)).stdout).toMatch(
      new RegExp(`"from":"4000","authorization":"Bearer ${master}".* 200$`),
    )
    const qdrant = (await typed('cat ~/qdrant.key')).trim()
    const collections = await eventually('Qdrant is back', async () => {
      const { stdout } = await ask('vectors.example.net', 8443, '/collections', bearer)
      return / 200$/.test(stdout) && stdout
    })
    expect(collections).toContain(`"key":"${qdrant}"`)
    expect((await ask('openai.example.net', 443, '/v1/models')).stdout).toMatch(/ 401$/)
    expect((await ask('openai.example.net', 443, '/key/info', bearer)).stdout).toMatch(/ 403$/)
    expect((await ask('chat.example.net', 443, '/')).stdout).toMatch(/a page.* 200$/)
  })

  test.skip(`"${start}": no registry can be reached here, and there is no graphics card`, () => {})
  test.skip('signing in at Authentik: its images cannot be had; services-sso-open-webui does it with another provider', () => {})
})
