import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { receiving } from '../../lib/commands/pair-ssh.ts'
import type { Ran } from '../box/apt.ts'
import { checkout } from '../box/paths.ts'
import { quote } from '../box/quote.ts'
import { ipProgram } from '../box/tools.ts'
import { eventually } from '../lab/gateway.ts'
import { type Booted, boot } from '../linux/booted.ts'
import { whyNot } from '../linux/why.ts'
import { expectGreen } from './witness.ts'

const why = whyNot()
const [own, peer, vip] = ['10.50.0.2', '10.50.0.3', '10.50.0.100']
const root = `root@${peer}`
const folder = '/etc/remote-ollama-proxy'
const [rop, aside] = ['/usr/local/bin/rop', '/root/rop-aside']
/** The gateway that is changed, where ann types sudo, and the other one, where ben's sudo asks for a password. */
let here: Booted
let there: Booted

const sh = (machine: Booted, script: string): Promise<Ran> => machine.run(['sh', '-c', script])
const told = ({ stdout, stderr }: Ran): string => `${stdout}\n${stderr}`

/** Runs it and gives what it printed; a failure is told with its words. */
async function done(machine: Booted, script: string): Promise<string> {
  const ran = await sh(machine, script)
  expect(ran.code, `${script}: ${told(ran)}`).toBe(0)
  return ran.stdout
}

const ann = (line: string): Promise<Ran> => here.run(['su', '-', 'ann', '-c', line])
const sync = (more = ''): Promise<Ran> => ann(`sudo rop pair sync ${more}`)
/** Exit code and all that a failure says; the line of its log is no part of that. */
const refusal = ({ code, stderr }: Ran): [number, string] => [code, stderr.trim()]
const sentence = (start: string, end = 'Nothing was changed.') =>
  expect.stringMatching(new RegExp(`^${start}[^\\n]*${end}$`))

/** Those of docs/ha.md, with https at the pair's address, and the machine's own for whoever asks it alone. */
const settings = (priority: number, mine: string, other: string): string =>
  JSON.stringify({
    ...{ models: ['qwen3:0.6b'], groups: ['agents', 'native'], access: 'keys', tls: { 'ai.lab.test': 'own-ca' } },
    listeners: {
      inside: { addresses: [mine], port: 12000, from: ['10.50.0.0/24'], access: 'keys' },
      lan: { addresses: [vip], sources: ['10.50.0.0/24'], certificates: 'optional' },
    },
    vip: { address: vip, interface: 'lan0', peer: other, priority },
  })

/** One of the two as its owner sets it up. */
async function setUp(machine: Booted, mine: string, text: string): Promise<void> {
  await done(machine, `ip address add ${mine}/24 dev lan0 && ip link set lan0 up`)
  await sh(machine, `cd ${checkout} && apt-get update -q && ./bootstrap.sh --yes --model qwen3:0.6b`)
  const ran = await sh(machine, `cat > ${folder}/settings.yaml <<'END'\n${text}\nEND\nrop install --yes`)
  expectGreen(ran.code, told(ran))
}

/** What of the other one a sync may change. */
const state = (): Promise<string> =>
  done(there, `cd ${folder} && sha256sum settings.yaml keys.json certs/two_gateways.pem 2>&1 || true`)
const temporary = (): Promise<string> => done(there, 'find / /tmp -xdev -name pair.json')
/** What the other gateway answers to a key. */
const answers = async (key: string): Promise<string> =>
  (
    await sh(
      here,
      `curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'authorization: Bearer ${key}' http://${peer}:12000/v1/models`,
    )
  ).stdout

describe.skipIf(why !== undefined)(`rop pair sync by a real ssh${why ? ` (skipped: ${why})` : ''}`, () => {
  let key: string

  beforeAll(async () => {
    ;[here, there] = await Promise.all([boot(), boot()])
    const work = mkdtempSync(join(tmpdir(), 'cable-'))
    const ends = ['lan0', 'netns', here.pid(), 'type', 'veth', 'peer', 'name', 'lan0', 'netns', there.pid()]
    execFileSync(await ipProgram(work), ['link', 'add', ...ends])
    rmSync(work, { recursive: true })
    await Promise.all([setUp(here, own, settings(150, own, peer)), setUp(there, peer, settings(140, peer, own))])
    await done(here, `useradd -m -s /bin/bash ann && echo 'ann ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ann`)
    await done(there, `useradd -m -s /bin/bash ben && echo 'ben ALL=(ALL) ALL' > /etc/sudoers.d/ben`)
    key = /rop_\w+/.exec(await done(here, 'rop keys add bob --per-minute 600'))?.[0] ?? ''
  })
  afterAll(async () => {
    await Promise.all([here?.close(), there?.close()])
  })

  test('without ssh it says what to install, or how to do without', async () => {
    expect(refusal(await sync())).toEqual([
      3,
      sentence('There is no ssh on this machine to reach root@10.50.0.3 with; '),
    ])
  })

  test('a host key that is unknown, and nobody’s key, are told with what to type as whoever typed sudo', async () => {
    const fetched = 'apt-get update -q && apt-get install -q -y --no-install-recommends'
    await Promise.all([done(here, `${fetched} openssh-client`), done(there, `${fetched} openssh-server`)])
    expect(refusal(await sync())).toEqual([
      3,
      sentence(
        'ssh does not know the host key of root@10.50.0.3 yet. As ann, look at it once and say yes: ssh root@10',
      ),
    ])
    await ann(`mkdir -p -m 700 .ssh && ssh-keyscan -t ed25519 ${peer} > .ssh/known_hosts`)
    expect(refusal(await sync())).toEqual([
      3,
      sentence('root@10.50.0.3 takes no key of ann. Give it one .*\\(ssh: root@10.50.0.3: Permission denied'),
    ])
    const { stdout } = await ann('ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519 && cat .ssh/id_ed25519.pub')
    for (const home of ['/root', '/home/ben'])
      await done(
        there,
        `mkdir -p -m 700 ${home}/.ssh && echo '${stdout.trim()}' > ${home}/.ssh/authorized_keys && chown -R --reference=${home} ${home}/.ssh`,
      )
  })

  test('a machine without rop, and sudo that asks there for a password, take nothing', async () => {
    const before = await state()
    await done(there, `mv ${rop} ${aside}`)
    expect(refusal(await sync())).toEqual([3, sentence('root@10.50.0.3 has no rop in the PATH')])
    await done(there, `mv ${aside} ${rop}`)
    expect(refusal(await sync(`--to ben@${peer}`))).toEqual([
      3,
      sentence('sudo asks ben@10.50.0.3 for a password; allow `sudo rop` there without one \\(NOPASSWD\\)'),
    ])
    expect([await state(), await temporary()]).toEqual([before, ''])
  })

  test('settings, keys and people count at the other one, and the two tell each other what they count', async () => {
    expect(await answers(key)).toBe('401')
    await done(
      here,
      `sed -i 's/"access":"keys",/"access":"keys","ban_after":77,"people":{"ann@example.com":{"per_minute":6}},/' ${folder}/settings.yaml && rop apply`,
    )
    const watching = 'while :; do cat /proc/[0-9]*/cmdline 2> /dev/null | tr "\\0" " " >> /root/arguments; done'
    for (const one of [here, there]) await done(one, `systemd-run -q --unit=watching sh -c ${quote(watching)}`)
    const ran = await sync()
    for (const one of [here, there]) await done(one, 'systemctl stop watching')
    expect([ran.code, ran.stdout], told(ran)).toEqual([
      0,
      expect.stringContaining('root@10.50.0.3 has the settings and keys of this gateway'),
    ])
    expect(await answers(key)).toBe('200')
    const theirs = await done(there, `cat ${folder}/settings.yaml`)
    expect(theirs).toMatch(/"ban_after": ?77/)
    expect(theirs).toContain('ann@example.com')
    expect(theirs).toMatch(/"?peer"?: ?"?10\.50\.0\.2/)
    expect(await temporary()).toBe('')
    await eventually('the two are connected', async () =>
      (await sh(here, 'rop vip')).stdout.includes('each knows what the other has counted'),
    )
    for (const one of [here, there]) await done(one, 'rop status')
  })

  test('both have one root, by which each signs what it serves, and ask for client certificates of one authority', async () => {
    const state = '/var/lib/remote-ollama-proxy/state'
    const authorities = `cat ${state}/own-ca/root.pem ${folder}/certs/clients.pem`
    expect(await done(there, authorities)).toBe(await done(here, authorities))
    for (const one of [here, there])
      expect(
        await done(one, `openssl verify -CAfile ${state}/own-ca/root.pem ${folder}/certs/ai.lab.test.pem`),
      ).toContain('OK')
    expect(await done(there, 'rop status --verbose')).toContain('The gateway asks for client certificates')
  })

  test('no secret was in an argument list, and none is in a log', async () => {
    const line = (await done(here, `sed -n '/PRIVATE KEY/{n;p;q}' ${folder}/certs/two_gateways.pem`)).trim()
    const hash = /"sha256": ?"(\w+)"/.exec(await done(here, `cat ${folder}/keys.json`))?.[1] ?? ''
    expect([line.length, hash.length]).toEqual([64, 64])
    for (const one of [here, there]) {
      expect(await done(one, 'cat /root/arguments')).toContain('pair')
      const places = 'journalctl --no-pager > /root/journal; find /root/arguments /root/journal /var/log -type f'
      for (const secret of [line, hash])
        expect(await done(one, `${places} -exec grep -a -H -o '.\\{0,90\\}'${quote(secret)} {} + || true`)).toBe('')
    }
  })

  test('a key that is revoked on one is refused at the other once it was carried over', async () => {
    await done(here, 'rop keys revoke bob')
    expect(await answers(key)).toBe('200')
    const ran = await sync()
    expect(ran.code, told(ran)).toBe(0)
    expect(await answers(key)).toBe('401')
  })

  test('a part of what was to be carried changes nothing', async () => {
    const before = await state()
    await done(here, `sed -i 's/77/78/' ${folder}/settings.yaml && rop apply && mkdir -p -m 777 /srv/pair`)
    await done(here, 'rop pair sync --folder /srv/pair && chmod 644 /srv/pair/pair.json')
    const ran = await ann(`head -c 1500 /srv/pair/pair.json | ssh ${root} ${quote(receiving)}`)
    expect([ran.code, ran.stderr], told(ran)).toEqual([2, expect.stringContaining('nothing was changed')])
    expect([await state(), await temporary()]).toEqual([before, ''])
  })

  test('a cable that is pulled in the midst of it is told within half a minute, and the other one ends what it began', async () => {
    await done(there, `mv ${rop} ${aside}`)
    // It waits where the connection is to be lost: between what came and what is done with it.
    await done(
      there,
      `printf '#!/bin/sh\\ntouch /root/begun; until [ -e /root/on ]; do sleep 0.1; done; exec ${aside} "$@"\\n' > ${rop} && chmod 755 ${rop}`,
    )
    const ending = sync()
    await eventually('it has come', async () => (await sh(there, 'test -e /root/begun')).code === 0, 60_000)
    await done(there, 'ip link set lan0 down')
    expect(refusal(await ending)).toEqual([
      1,
      sentence(
        'The connection to root@10.50.0.3 ended before it said how it went \\(Timeout, server 10',
        'rop pair sync',
      ),
    ])
    await done(there, 'touch /root/on')
    await eventually('it is done there', async () => (await temporary()) === '', 120_000)
    await done(there, `mv ${aside} ${rop} && ip link set lan0 up`)
    expect(await done(there, `cat ${folder}/settings.yaml`)).toMatch(/"ban_after": ?78/)
    expect(await done(there, 'cat /var/lib/remote-ollama-proxy/state/applied.yaml')).toContain('78')
    for (const one of [here, there])
      await eventually('all is well', async () => (await sh(one, 'rop status')).code === 0, 60_000)
  })

  test('one that hangs, one where nobody listens, and one with another host key take nothing', async () => {
    const before = await state()
    const silent = `require("net").createServer(() => {}).listen(22, "${peer}")`
    await done(
      there,
      `systemctl stop ssh.socket ssh 2> /dev/null; systemd-run -q --unit=silent /opt/outside/node -e ${quote(silent)}`,
    )
    await eventually('it listens', async () => (await sh(there, 'ss -ltn | grep -q :22')).code === 0)
    expect(refusal(await sync())).toEqual([
      3,
      sentence('ssh does not reach root@10.50.0.3. .*ssh: Connection .*timed out'),
    ])
    await done(there, 'systemctl stop silent')
    expect(refusal(await sync())).toEqual([3, sentence('ssh does not reach root@10.50.0.3. .*Connection refused')])
    await done(there, 'rm /etc/ssh/ssh_host_*; ssh-keygen -A > /dev/null; systemctl start ssh')
    expect(refusal(await sync())).toEqual([
      3,
      sentence('root@10.50.0.3 shows another host key than the one that ssh knows, .*as ann \\(ssh-keygen -R 10'),
    ])
    expect([await state(), await temporary()]).toEqual([before, ''])
  })
})
