import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { memoryHost } from '../../../test/memory-host.ts'
import type { Look } from '../../host/host.ts'
import { parseIp } from './addresses.ts'
import { parseUpgradable } from './apt.ts'
import { fitness } from './fitness.ts'
import { parseNeighbour } from './keepalived.ts'
import { unitOf } from './keepers.ts'
import { linux } from './linux.ts'
import { parseSs } from './listeners.ts'
import { labels } from './places.ts'
import { jobs, parseShow } from './systemd.ts'
import { command, jobFiles, variables } from './units.ts'

const template = (name: string): string => readFileSync(`templates/${name}`, 'utf8')

describe('what a Debian 12 said', () => {
  test('listeners of ss, with every process, and every address as *', () => {
    const said = `LISTEN 0      511     127.0.0.1:443   0.0.0.0:* users:(("node",pid=35,fd=18))
LISTEN 0      2000   100.64.0.1:11434 0.0.0.0:* users:(("haproxy",pid=950,fd=6),("haproxy",pid=951,fd=6))
LISTEN 0      128             *:22          *:*
LISTEN 0      128       0.0.0.0:80    0.0.0.0:*
LISTEN 0      128  [fe80::1%eth0]:81     [::]:*`
    expect(parseSs(said)).toEqual([
      { address: '127.0.0.1', port: 443, command: 'node', pid: 35 },
      { address: '100.64.0.1', port: 11434, command: 'haproxy', pid: 950 },
      { address: '100.64.0.1', port: 11434, command: 'haproxy', pid: 951 },
      { address: '*', port: 22 },
      { address: '*', port: 80 },
      { address: 'fe80::1', port: 81 },
    ])
  })

  test('addresses of ip, and that one is not ready', () => {
    const said = JSON.stringify([
      { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1' }] },
      { ifname: 'tailscale0', addr_info: [{ family: 'inet6', local: 'fd7a::1', tentative: true }] },
      { ifname: 'down', addr_info: [] },
    ])
    expect(parseIp(said)).toEqual([
      { family: 4, address: '127.0.0.1', device: 'lo' },
      { family: 6, address: 'fd7a::1', device: 'tailscale0', unready: 'tentative' },
    ])
    expect(parseIp('no JSON')).toEqual([])
  })

  test('what systemctl shows, the unit of a process, and what apt could make newer', () => {
    expect(parseShow('MainPID=935\nEnvironment=A=1 B=2\n')).toEqual({ MainPID: '935', Environment: 'A=1 B=2' })
    expect(unitOf('9:name=systemd:/system.slice/ollama.service\n0::/system.slice/ollama.service\n')).toBe(
      'ollama.service',
    )
    expect(unitOf('0::/user.slice/user-1000.slice/session-1.scope\n')).toBeUndefined()
    expect(
      parseUpgradable(
        'Listing...\nhaproxy/stable-security 2.6.12-1+deb12u4 amd64 [upgradable from: 2.6.12-1+deb12u3]\n',
      ),
    ).toEqual([
      { name: 'haproxy', kind: 'formula', installed: '2.6.12-1+deb12u3', current: '2.6.12-1+deb12u4', pinned: false },
    ])
  })
})

describe('a unit', () => {
  const values = { bin: '/b', haproxy: '/usr/sbin/haproxy', address: '100.64.0.1', address6: '', log: '/l "x" 100%' }
  const file = jobFiles.filled(template('remote-ollama-proxy-gateway.service'), values)

  test('takes any value as one word, and leaves out a variable without one', () => {
    expect(file.label).toBe(labels.gateway)
    expect(command(file.text)).toEqual(['/b/haproxy-gateway', '/usr/sbin/haproxy'])
    expect(file.text).toContain('Environment="GATEWAY_LOG=/l \\"x\\" 100%%"')
    expect(file.variable('GATEWAY_LOG')).toBe('/l "x" 100%')
    expect(variables(file.text).map(([name]) => name)).not.toContain('GATEWAY_ADDRESS6')
    expect([file.endsWithin, jobFiles.lacks(file)]).toEqual([30, []])
  })

  test.each(Object.entries(labels))('of %s has a template whose first line names it', (_role, label) => {
    const name = jobFiles.path('', label).split('/').at(-1) ?? ''
    expect(jobFiles.filled(template(name), {}).label).toBe(label)
  })

  const shown = (more: string[] = []) =>
    [
      'LoadState=loaded',
      'ActiveState=active',
      'SubState=running',
      'MainPID=935',
      'UnitFileState=enabled',
      'NeedDaemonReload=no',
      'ExecStart={ path=/b/haproxy-gateway ; argv[]=/b/haproxy-gateway /usr/sbin/haproxy ; ignore_errors=no }',
      ...more,
    ].join('\n')
  const held = variables(file.text).map(([name, value]) => `${name}=${value}`)
  const machine = (said: string, environment = held): Look =>
    memoryHost({
      files: new Map([['/proc/935/environ', environment.join('\0')]]),
      commands: { 'systemctl show': { stdout: said } },
    })
  const differs = async (look: Look) => (await jobs().job(look, labels.gateway))?.unlike(file)

  test('runs as written, by what the process really has', async () => {
    expect(await differs(machine(shown()))).toEqual([])
    expect(await differs(machine(shown(), []))).toEqual(held.map((one) => one.split('=')[0]))
  })

  test.each([
    ['NeedDaemonReload=yes', 'unit file than was loaded'],
    ['UnitFileState=disabled', 'start at boot'],
    ['ExecStart={ path=/x ; argv[]=/x ; }', 'arguments'],
  ])('with %s it runs with another %s', async (line, what) => {
    expect(await differs(machine(shown([line])))).toEqual([what])
  })

  test('that systemd does not know is none', async () => {
    expect(await jobs().job(machine('LoadState=not-found'), labels.gateway)).toBeUndefined()
  })
})

describe('a machine that cannot be a server', () => {
  const fixed = {
    ...{ home: '/root', system: 'linux', kernel: 'Linux', version: [12], memory: 0, uid: 0, user: 'root' },
  } as const
  const said = async (id: string, more: object, commands = {}) =>
    fitness({ ...fixed, appleSilicon: false, translated: false, desktop: true, ssh: false, ...more } as never)
      .find((one) => one.id === `system.${id}`)
      ?.ask(memoryHost({ commands }))

  test.each([
    ['supervisor', { desktop: false }, {}, /systemd does not run here/],
    ['supervisor', {}, { 'systemctl --version': { stdout: 'systemd 249 (249.11)' } }, /systemd 249/],
    [
      'packages',
      {},
      { 'apt-cache policy': { stdout: 'haproxy:\n  Candidate: 2.4.24-0ubuntu0.22.04.1\n' } },
      /HAProxy 2\.4\.24/,
    ],
    ['user', { uid: 1000, user: 'ann' }, {}, /ann runs this/],
  ])('%s is told with what helps', async (id, more, commands, words) => {
    expect(await said(id, more, commands)).toMatchObject({
      is: 'wanting',
      saw: expect.stringMatching(words),
      help: expect.any(String),
    })
  })

  test('one of Debian 12 can', async () => {
    const commands = {
      'systemctl --version': { stdout: 'systemd 252 (252.39-1~deb12u2)' },
      'apt-cache policy': { stdout: 'haproxy:\n  Installed: (none)\n  Candidate: 2.6.12-1+deb12u4\n' },
    }
    for (const id of ['supervisor', 'packages', 'user'])
      expect(await said(id, {}, commands)).toMatchObject({ is: 'good' })
  })
})

test('Ollama’s own unit stays when what we told it goes', () => {
  expect([
    linux.jobs({ home: '', system: 'linux', uid: 0 }).isOurs(labels.engine),
    linux.jobs({ home: '', system: 'linux', uid: 0 }).isOurs(labels.gateway),
  ]).toEqual([false, true])
})

test('a neighbour is known by its address, however the settings write that', () => {
  const table = [{ dst: 'fd00:50::100', lladdr: '02:00:00:00:00:03', state: ['REACHABLE'] }]
  expect(parseNeighbour(JSON.stringify(table), 'FD00:50:0::100')).toBe('02:00:00:00:00:03')
  expect(parseNeighbour(JSON.stringify(table), 'fd00:50::1')).toBeUndefined()
})
