import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { eventually } from '../lab/gateway.ts'
import { at, type Network, networks } from '../lab/networks.ts'
import { type BootedAuthority, startAuthority } from '../linux/authority.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { type Networks, startNetworks } from '../linux/networks.ts'
import { whyNot } from '../linux/why.ts'

const why = whyNot()
const name = 'hal9000-api.lab.test'
const faults = '/opt/outside/box/ollama-faults.json'
let machine: Booted
let around: Networks
let authority: BootedAuthority
let key: string

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
const log = '/var/log/remote-ollama-proxy/haproxy.log'

/** Runs it and gives what it printed; a failure is told with its words. */
async function done(outcome: Promise<Ran>): Promise<string> {
  const ran = await outcome
  expect(ran.code, told(ran)).toBe(0)
  return ran.stdout
}

/** The same line wherever it is typed. */
const curl = (more: string, bearer = key): string =>
  `curl -sS --max-time 20 --cacert ${authority.root} -H 'Authorization: Bearer ${bearer}' ${more}`
const asked = (body: object, port = 11434, bearer = key): string =>
  `${curl(`https://${name}:${port}/api/generate -d '${JSON.stringify({ model: 'qwen3:0.6b', prompt: 'hi', ...body })}'`, bearer)}`

describe.skipIf(why !== undefined)(`a server behind a border${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    await done(sh('apt-get update -q && apt-get install -q -y --no-install-recommends nftables pebble'))
    around = await startNetworks(machine, [name])
    authority = await startAuthority(machine, 120)
    await done(sh(`cd ${checkout} && ./bootstrap.sh --yes --model qwen3:0.6b`))
    const settings = {
      ...{ models: ['qwen3:0.6b'], groups: ['agents', 'native'], log: 'requests' },
      ...{ tls: { [name]: 'acme' }, acme: authority.setting },
      listeners: {
        public: { addresses: [at.machine], groups: ['native'] },
        lan: { addresses: [at.machine], port: 12000, sources: ['10.50.0.0/24', '10.60.0.0/24'] },
      },
    }
    await sh(`cat > /etc/remote-ollama-proxy/settings.yaml <<'END'\n${JSON.stringify(settings)}\nEND`)
    // What is promised of speed does not hold on a busy machine, so the proof of this install does not count.
    await rop('install', '--yes')
    const made = await done(rop('keys', 'add', 'bob', '--groups', 'native', '--json'))
    key = (JSON.parse(made) as { key: string }).key
  })
  afterAll(async () => {
    await machine?.close()
  })

  const status = async (where: Network, line: string): Promise<string> =>
    (await around.in(where, `${line} -o /dev/null -w '%{http_code}'`)).stdout

  test('is reached from nowhere outside before the border has the rules that rop prints', async () => {
    expect(await status('internet', asked({ stream: false }))).toBe('000')
    await done(sh('rop status --border > /root/border.nft'))
    // Twice, since whoever changes the settings loads them anew.
    for (const _ of ['first', 'again']) await done(sh('ip netns exec border nft -f /root/border.nft'))
  })

  test.each(networks)('answers the same curl from %s, by the same name and key', async (where) => {
    const answer = await done(around.in(where, asked({ stream: false })))
    expect(JSON.parse(answer)).toMatchObject({ model: 'qwen3:0.6b', done: true })
    expect(await status(where, asked({}, 11434, 'rop_wrong'))).toBe('403')
    // Only its own group is open in public.
    expect(await status(where, curl(`https://${name}:11434/v1/models`))).toBe('403')
  })

  test('sees who asks from outside by their own address', async () => {
    const seen = async () => (await sh(`cat ${log}`)).stdout
    await eventually('the log has all of them', async () => {
      const text = await seen()
      return [at.internet, at.other, at.borderInside].every((address) => text.includes(`"address":"${address}"`))
    })
  })

  test('forwards the port of the LAN for its networks alone', async () => {
    for (const where of networks)
      expect(await status(where, asked({ stream: false }, 12000)), where).toBe(where === 'internet' ? '000' : '200')
  })

  test('a stream from the internet runs on while its certificate is renewed, and the new one is served', async () => {
    const serial = () =>
      around.in(
        'internet',
        `openssl s_client -connect ${name}:11434 -servername ${name} < /dev/null 2> /dev/null | openssl x509 -noout -serial -issuer`,
      )
    const before = await done(serial())
    expect(before).toMatch(/Pebble/)
    await sh(`echo '{"holds":{"afterTokens":3}}' > ${faults}`)
    const stream = around.in('internet', `${asked({}).replace('--max-time 20', '-N --max-time 200')} > /root/stream`)
    await eventually('it runs', async () => /"done":false/.test((await sh('cat /root/stream')).stdout))
    const renewed = async () => {
      await done(rop('certificates', 'renew', name))
      return (await done(serial())) !== before
    }
    await eventually('a third of its life is left, and it is renewed', renewed, 100_000)
    expect(await done(serial())).toMatch(/Pebble/)
    expect((await sh('cat /root/stream')).stdout).not.toContain('"done":true')
    await sh(`rm ${faults}`)
    await done(stream)
    expect((await sh('tail -n 1 /root/stream')).stdout).toContain('"done":true')
    await done(rop('status'))
  })
})
