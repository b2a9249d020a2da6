import { describe, expect, test } from 'vitest'
import { gateway, tailnet, templates } from '../../test/gateway.ts'
import { parseSettings } from '../site/settings.ts'
import { render } from './config.ts'
import { listenersOf } from './listeners.ts'
import { keepalivedConf } from './vip.ts'

const vip = "vip: { address: '192.168.7.100', interface: eth0, peer: '192.168.7.3', priority: 150 }\n"
const inside = "listeners: { inside: { addresses: ['192.168.7.2', '192.168.7.100'], from: [192.168.7.9] } }\n"
const of = (yaml: string, linux = false) => {
  const made = gateway(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet))
  return linux ? { ...made, system: 'linux' as const } : made
}
const text = (yaml: string, linux = false) => render(of(yaml, linux), templates).text
const conf = (yaml: string) => {
  const made = of(yaml, true)
  if (!made.settings.vip) throw new Error('there is no VIP')
  return keepalivedConf(made, made.settings.vip, '192.168.7.2')
}

describe('an address that two gateways have in turn', () => {
  test('is listened on before it is there, and no other address is', () => {
    expect(text(vip + inside).match(/.*bind .*inside.*/g)).toEqual([
      '    bind 192.168.7.2:11434 name inside',
      '    bind 192.168.7.100:11434 name inside transparent',
    ])
    expect(text(inside)).not.toContain('transparent')
    const public6 = "tls: { a.net: acme }\nlisteners: { public: { addresses: ['fd00::100'], port: 443 } }\n"
    const found = text(`${public6}vip: { address: 'fd00:0::100', interface: eth0, peer: 'fd00::3', priority: 1 }`)
    expect(found.match(/.*bind \[fd00::100\].*/g)).toEqual([
      expect.stringMatching(/^ {4}bind \[fd00::100\]:443 v6only name public ssl .* transparent$/),
      '    bind [fd00::100]:80 transparent',
    ])
  })

  test('is asked for by a health of its own, on a socket, and by none where there is no such address', () => {
    const health = (yaml: string) =>
      /frontend health\n((?: {4}.*\n)*)/.exec(text(yaml, true))?.[1]?.trim().split('\n    ')
    expect(health('')).toBeUndefined()
    const up = (more: string) =>
      `http-request return status 200 content-type text/plain string "ok" if { path /healthz }${more}`
    const around = (...lines: string[]) => [
      'bind "unix@/run/remote-ollama-proxy/health.sock" mode 660',
      'no log',
      ...lines,
      'http-request return status 503 content-type text/plain string "no"',
    ]
    expect(health(vip)).toEqual(around(up(' { srv_is_up(inference/engine) }')))
    const nodes = 'nodes: { gpu: { address: 192.168.7.20 } }\n'
    expect(health(vip + nodes)).toEqual(
      around(up(' { srv_is_up(inference/here) }'), up(' { srv_is_up(inference/gpu) }')),
    )
    // Both gateways ask the same nodes, so the other one would answer no better.
    expect(health(`${vip}${nodes}role: gateway`)).toEqual(around(up('')))
  })

  test('is Keepalived’s by words that move it fast, and never back', () => {
    const lines = conf(vip)
      .split('\n')
      .map((line) => line.trim())
    for (const line of [
      ...['vrrp_version 3', 'state BACKUP', 'nopreempt', 'advert_int 0.3', 'init_fail', 'enable_script_security'],
      ...['interface eth0', 'virtual_router_id 51', 'priority 150', 'unicast_src_ip 192.168.7.2', '192.168.7.3'],
      ...['script_user haproxy haproxy', 'check_unicast_src', '192.168.7.100'],
    ])
      expect(lines).toContain(line)
    expect(conf(vip.replace('150', '140, router_id: 7'))).toMatch(/virtual_router_id 7\n +priority 140\n/)
  })

  test('moves by a script without weight: with one, nopreempt keeps it where it is', () => {
    expect(conf(vip)).toMatch(/track_script \{\n +gateway\n/)
    expect(conf(vip)).not.toContain('weight')
  })
})
