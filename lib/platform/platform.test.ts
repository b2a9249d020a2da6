import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseIfconfig } from './mac/ifconfig.ts'
import { parseLsof, parseNetstat } from './mac/listeners.ts'
import { isTailnet4, parseStatus, reachableAs } from './tailscale.ts'
import { parseServe } from './tailscale-serve.ts'
import { atLeast, versionNumbers } from './versions.ts'

const recorded = (name: string): string => readFileSync(`sandbox/transcripts/tailscale/${name}`, 'utf8')

describe('tailscale status --json', () => {
  it.each([
    ['running.status-json.json', 'Running', '100.64.0.1'],
    ['stopped.status-json.json', 'Stopped', undefined],
    ['loggedout.status-json.json', 'NeedsLogin', undefined],
    ['needsapproval.status-json.json', 'NeedsMachineAuth', undefined],
    ['noderp.status-json.json', 'Starting', undefined],
  ])('%s is %s', (name, state, address) => {
    const status = parseStatus(recorded(name))
    expect(status.state).toBe(state)
    if (address) expect(status.ipv4).toBe(address)
  })

  it('tells an expired key from a logged-out machine', () => {
    expect(parseStatus(recorded('expired.status-json.json')).expired).toBe(true)
    expect(parseStatus(recorded('loggedout.status-json.json')).expired).toBe(false)
  })

  it('gives the MagicDNS name without its dot', () => {
    expect(parseStatus(recorded('running.status-json.json')).name).toMatch(/\.ts\.net$/)
  })

  it('that is no JSON (the app printed its window’s error) means unreachable', () => {
    expect(parseStatus('The Tailscale GUI failed to start: …').state).toBe('unreachable')
  })

  const running = (more: object) => parseStatus(JSON.stringify({ BackendState: 'Running', ...more }))

  it.each([
    ['studio.tail0lab.ts.net.', 'studio.tail0lab.ts.net'],
    ['Studio.Example.NET.', 'studio.example.net'],
    ['🖥️-studio.example.net.', 'xn---studio-e315f.example.net'],
    ['', undefined],
    ['a b.example.net.', undefined],
  ])('%j is the name %j', (DNSName, name) => {
    expect(running({ Self: { DNSName } }).name).toBe(name)
  })

  it('without IPv4 has none, whatever comes first', () => {
    expect(running({ TailscaleIPs: [null, 'fd7a:115c:a1e0::1'] })).toMatchObject({
      state: 'Running',
      ipv4: undefined,
      ipv6: 'fd7a:115c:a1e0::1',
    })
    expect(running({ TailscaleIPs: ['fd7a:115c:a1e0::1', '100.64.0.1'] })).toMatchObject({ ipv4: '100.64.0.1' })
  })

  it('clients find the machine by its name, and by its address where MagicDNS is off', () => {
    const known = { TailscaleIPs: ['100.64.0.1'], Self: { DNSName: 'studio.ts.net.' } }
    expect(reachableAs(running(known))).toBe('studio.ts.net')
    expect(reachableAs(running({ ...known, CurrentTailnet: { MagicDNSEnabled: true } }))).toBe('studio.ts.net')
    expect(reachableAs(running({ ...known, CurrentTailnet: { MagicDNSEnabled: false } }))).toBe('100.64.0.1')
    expect(reachableAs(running({ ...known, Self: { DNSName: '' } }))).toBe('100.64.0.1')
  })

  it('serve tells the ports it holds', () => {
    const ports = parseServe(recorded('serve.tcp-status-json.json'))?.map(({ port }) => port)
    expect(ports).toEqual([80, 443, 11434])
    expect(parseServe(recorded('running.serve-status-json.json'))).toEqual([])
  })
})

describe('the Mac’s own words', () => {
  it('ifconfig gives addresses with their devices', () => {
    const text =
      'lo0: flags=8049<UP> mtu 16384\n\tinet 127.0.0.1 netmask 0xff000000\nutun4: flags=8051<UP> mtu 1280\n\tinet 100.101.102.103 --> 100.101.102.103 netmask 0xffffffff\n\tinet6 fe80::1%utun4 prefixlen 64 scopeid 0x1\n'
    expect(parseIfconfig(text)).toEqual([
      { family: 4, address: '127.0.0.1', device: 'lo0' },
      { family: 4, address: '100.101.102.103', device: 'utun4' },
      { family: 6, address: 'fe80::1', device: 'utun4' },
    ])
  })

  it.each([
    ['', undefined],
    ['tentative ', 'tentative'],
    ['secured duplicated ', 'duplicated'],
    ['dynamic detached ', 'detached'],
    ['deprecated ', undefined],
    ['optimistic ', undefined],
  ])('ifconfig’s words %j behind an IPv6 address: nobody can bind it, being %s', (words, unready) => {
    const text = `utun4: flags=8051<UP> mtu 1280\n\tinet6 fd7a:115c:a1e0::1 prefixlen 48 ${words}`
    expect(parseIfconfig(text)).toEqual([
      { family: 6, address: 'fd7a:115c:a1e0::1', device: 'utun4', ...(unready && { unready }) },
    ])
  })

  it.each([
    ['100.64.0.1', true],
    ['100.127.255.255', true],
    ['100.128.0.1', false],
    ['10.0.0.1', false],
  ])('%s is a tailnet address: %s', (address, yes) => expect(isTailnet4(address)).toBe(yes))

  it('lsof gives one fact a socket', () => {
    expect(
      parseLsof(
        'p42\ncollama\nu501\nf3\ntIPv4\nn127.0.0.1:11434\nf4\ntIPv6\nn[::1]:11434\np43\nchaproxy\nf9\nn*:11434\n',
      ),
    ).toEqual([
      { pid: 42, command: 'ollama', address: '127.0.0.1', port: 11434 },
      { pid: 42, command: 'ollama', address: '::1', port: 11434 },
      { pid: 43, command: 'haproxy', address: '*', port: 11434 },
    ])
  })

  it('netstat shows listeners of other users', () => {
    expect(
      parseNetstat(
        'tcp4       0      0  *.11434                *.*                    LISTEN\ntcp4 0 0 127.0.0.1.80 *.* LISTEN\n',
      ),
    ).toEqual([
      { address: '*', port: 11434 },
      { address: '127.0.0.1', port: 80 },
    ])
  })

  it.each([
    ['26.1', [15, 7], true],
    ['16.0', [26], true],
    ['13.6.1', [14], false],
    ['14', [14], true],
  ])('macOS %s is at least %s: %s', (version, minimum, yes) =>
    expect(atLeast(versionNumbers(version), minimum)).toBe(yes),
  )
})
