import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { soon } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const patience = 90_000
let machine: Booted

const sh = (script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const rop = (...words: string[]): Promise<Ran> => machine.run(['rop', ...words])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`
const green = async (): Promise<boolean> => (await rop('status')).code === 0
const etc = '/etc/remote-ollama-proxy'
const settings = `${etc}/settings.yaml`
const model = 'qwen3:0.6b'
const gateway = 'remote-ollama-proxy-gateway'

async function applied(text: string): Promise<void> {
  await sh(`cat > ${settings} <<'END'\nmodels: ['${model}']\n${text}\nEND`)
  const outcome = await rop('apply')
  expect(outcome.code, told(outcome)).toBe(0)
}

const faults = (what: object): Promise<Ran> =>
  sh(`echo '${JSON.stringify(what)}' > /opt/outside/box/ollama-faults.json`)

/** An answer that has begun, and goes on once it is told to; gives how it ended then. */
async function stream(): Promise<() => Promise<string>> {
  await faults({ holds: { afterTokens: 20 } })
  const body = JSON.stringify({
    ...{ model: 'tiny-loop', stream: true, max_tokens: 60 },
    messages: [{ role: 'user', content: 'x' }],
  })
  const asked = `curl -sN -H 'content-type: application/json' -d '${body}' http://100.64.0.1:11434/v1/chat/completions`
  await sh('rm -f /tmp/stream')
  const all = sh(`${asked} > /tmp/stream 2>&1; echo over >> /tmp/stream`)
  const read = async () => (await machine.read('/tmp/stream')) ?? ''
  expect(await soon(async () => (await read()).includes(' w19"'), patience)).toBe(true)
  return async () => {
    const early = (await read()).includes('over')
    await faults({})
    await all
    return early ? 'ended before' : (await read()).slice(-20)
  }
}

/** What a command says of itself; what hangs over the whole server is told before. */
const ownWords = ({ stderr }: Ran): string => stderr.replace(/^! Since .*\n/gm, '')

const whole = '[DONE]\n\nover\n'

describe.skipIf(why !== undefined)(`days of a server on Debian${why ? ` (skipped: ${why})` : ''}`, () => {
  beforeAll(async () => {
    machine = await boot()
    const outcome = await sh(`cd ${checkout} && ./bootstrap.sh --yes --model ${model} --model tiny-loop`)
    expectGreen(outcome.code, told(outcome))
    // As MagicDNS has it.
    await sh('useradd -m ann; echo 100.64.0.1 ai1.tail0lab.ts.net >> /etc/hosts')
  })
  afterAll(async () => {
    await machine?.close()
  })

  test('changed settings come into effect while answers run on', async () => {
    const ended = await stream()
    await applied('body_limit: 16MB')
    expect((await ended()).endsWith(whole)).toBe(true)
    expect(await green()).toBe(true)
  })

  test('apt renews HAProxy while answers run on, and leaves its own service as it was', async () => {
    const ended = await stream()
    const outcome = await sh('DEBIAN_FRONTEND=noninteractive apt-get install -q -y --reinstall haproxy')
    expect(outcome.code, told(outcome)).toBe(0)
    expect((await ended()).endsWith(whole)).toBe(true)
    expect((await sh(`systemctl is-active haproxy ${gateway}`)).stdout).toBe('inactive\nactive\n')
    expect(await green()).toBe(true)
  })

  /** Debian's package once more, as a newer version: no other one of its release can be had. */
  const newer = `set -e
cd "$(mktemp -d)"
dpkg-deb -R /opt/outside/deb.debian.org/debian/pool/haproxy_*.deb made
sed -i 's/^Version: .*/&.1/' made/DEBIAN/control
was=$(dpkg-query -W -f '\${Version}' haproxy | cut -d- -f1)
sed -i "s/$was-1+deb/\${was%.*}.99-1+deb/g" made/usr/sbin/haproxy
dpkg-deb -b made newer.deb
DEBIAN_FRONTEND=noninteractive apt-get install -q -y ./newer.deb`

  test('a newer HAProxy from apt is told of, and comes into effect by a reload while answers run on', async () => {
    const ended = await stream()
    const outcome = await sh(newer)
    expect(outcome.code, told(outcome)).toBe(0)
    const before = await rop('status')
    expect([before.code, told(before)]).toEqual([
      1,
      expect.stringMatching(/HAProxy (\d\.\d)\.\d\d-\S+ runs, \1\.99-\S+ is installed/),
    ])
    const applied = await rop('apply')
    expect(applied.code, told(applied)).toBe(0)
    expect((await ended()).endsWith(whole)).toBe(true)
    expect(await green()).toBe(true)
  })

  test('a restart of every service, as after an upgrade of a library, is survived', async () => {
    await sh(`systemctl restart ollama ${gateway} remote-ollama-proxy-observer`)
    expect(await soon(green, patience)).toBe(true)
  })

  test('what needrestart runs in place of a restart of the gateway has it start anew while answers run on', async () => {
    // As its package has it, which the story linux-typed has.
    await sh('mkdir -p /etc/needrestart/restart.d')
    await applied('')
    const worker = async () => (await sh(`pgrep -P $(systemctl show -P MainPID ${gateway}) -n haproxy`)).stdout
    const [ended, before] = [await stream(), await worker()]
    const run = await sh(`/etc/needrestart/restart.d/${gateway}.service`)
    expect(run.code, told(run)).toBe(0)
    expect(await soon(async () => (await worker()) !== before, patience)).toBe(true)
    expect((await ended()).endsWith(whole)).toBe(true)
    expect(await green()).toBe(true)
  })

  test('two who make keys at once both have one, or are told to wait', async () => {
    const names = ['dora', 'emil']
    const outcomes = await Promise.all(names.map((name) => rop('keys', 'add', name)))
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.code === 0) continue
      expect([outcome.code, outcome.stderr]).toEqual([3, expect.stringContaining('Another run of remote-ollama-proxy')])
      expect((await rop('keys', 'add', names[at] ?? '')).code).toBe(0)
    }
    const listed = (await rop('keys', 'list', '--json')).stdout
    for (const name of names) expect(listed).toContain(`"${name}"`)
  })

  test('somebody who is not root starts a client for the server, and is told what to paste', async () => {
    await sh(
      'printf \'#!/bin/sh\\necho "$ANTHROPIC_BASE_URL $*"\\n\' > /usr/local/bin/claude; chmod 755 /usr/local/bin/claude',
    )
    const launched = await sh("su ann -c 'cd && rop launch claude -- --version'")
    expect(launched.code, told(launched)).toBe(0)
    expect(launched.stdout).toMatch(/http:\/\/ai1\.tail0lab\.ts\.net:11434 .*--version/)
    expect((await sh("su ann -c 'cd && rop connect codex'")).stdout).toContain('http://ai1.tail0lab.ts.net:11434/v1')
  })

  describe('with a LAN that comes by https', () => {
    const serial = async (): Promise<string> =>
      (
        await sh(
          'openssl s_client -connect 192.168.78.1:8443 -servername ai.lan </dev/null 2> /dev/null | openssl x509 -noout -serial',
        )
      ).stdout
    beforeAll(async () => {
      await sh(
        'ip link add lan0 type veth peer name lan0-peer; ip link set lan0 up; ip address add 192.168.78.1/24 dev lan0',
      )
      await applied(
        'tls: { ai.lan: own-ca }\nlisteners: { lan: { addresses: [192.168.78.1], port: 8443, sources: [192.168.78.0/24] } }',
      )
    })
    afterAll(() => applied(''))

    test('a disk that is full when a certificate comes leaves the old one served, and the next try serves the new one', async () => {
      const before = await serial()
      expect(before).toMatch(/^serial=/)
      await sh(
        `cp -a ${etc}/certs /root/certs && mount -t tmpfs -o size=64k,mode=700 full ${etc}/certs && cp -a /root/certs/. ${etc}/certs/`,
      )
      await sh(`dd if=/dev/zero of=${etc}/certs/filled bs=4k 2> /dev/null`)
      const full = await rop('certificates', 'root', '--new')
      expect([full.code, ownWords(full)]).toEqual([
        1,
        expect.stringMatching(
          /^The new certificate for ai\.lan could not be written \(the disk is full\), so the one before stays; make room.*\n$/,
        ),
      ])
      expect(await serial()).toBe(before)
      expect((await sh(`ls -A ${etc}/certs`)).stdout).toBe('ai.lan.pem\nfilled\n')
      await sh(`rm ${etc}/certs/filled`)
      expect((await rop('certificates', 'renew')).code).toBe(0)
      expect(await serial()).not.toBe(before)
      await sh(
        `rm -r /root/certs; cp -a ${etc}/certs /root/certs && umount ${etc}/certs && cp -a /root/certs/. ${etc}/certs/`,
      )
      expect(await green()).toBe(true)
    })

    test('where /etc can only be read one sentence says so, and nothing is lost', async () => {
      const kept = () => sh(`sha256sum ${etc}/keys.json ${settings} ${etc}/certs/*`)
      const [before, shown] = [(await kept()).stdout, await serial()]
      await sh('mount --bind /etc /etc && mount -o remount,ro,bind /etc')
      try {
        for (const words of [
          ['keys', 'add', 'fritz'],
          ['keys', 'revoke', 'dora'],
          ['certificates', 'root', '--new'],
        ]) {
          const outcome = await rop(...words)
          const { code, stdout } = outcome
          expect([words, code, ownWords(outcome)]).toEqual([
            words,
            expect.any(Number),
            expect.stringMatching(/^[^\n]*its disk can only be read[^\n]*\n$/),
          ])
          expect([1, 3]).toContain(code)
          expect(stdout).not.toMatch(/rop_/)
        }
        expect([(await kept()).stdout, await serial()]).toEqual([before, shown])
      } finally {
        await sh('umount /etc')
      }
      expect((await rop('certificates', 'renew')).code).toBe(0)
      expect(await green()).toBe(true)
      expect((await rop('keys', 'revoke', 'dora')).code).toBe(0)
    })
  })

  test('a restart of the machine brings everything back by itself', async () => {
    await sh('date > /etc/was-here')
    await machine.reboot()
    expect(await machine.read('/etc/was-here')).toBeDefined()
    expect(await soon(green, patience)).toBe(true)
    const ended = await stream()
    expect((await ended()).endsWith(whole)).toBe(true)
  })
})
