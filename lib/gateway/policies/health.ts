import { places, platformOf } from '../../platform/here.ts'
import { hasNodes, nodesIn } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { alive, pulse } from './both.ts'

/** What is asked there. */
export const healthPath = '/healthz'

/** A gateway whose own engines are down leaves the address to the other. Where all of them are nodes both ask the same ones, so only HAProxy itself counts. */
function conditions(gateway: Gateway): string[] {
  if (gateway.settings.role === 'gateway') return ['']
  const servers = hasNodes(gateway) ? nodesIn(gateway).map(({ name }) => name) : ['engine']
  return servers.map((name) => ` { srv_is_up(inference/${name}) }`)
}

/** Whether this gateway can have the address of the pair, on a socket for Keepalived alone: no port of the machine answers that. */
export function health(gateway: Gateway): Policy {
  if (!gateway.settings.vip) return { name: 'health', lines: {} }
  const mode = platformOf(gateway).modes.socket.toString(8)
  const lines = [
    'frontend health',
    `    bind "unix@${places(gateway).healthSocket}" mode ${mode}`,
    '    no log',
    ...pulse(gateway),
    ...conditions(gateway).map(
      (up) => `    http-request return status 200 content-type text/plain string "ok" if { path ${healthPath} }${up}`,
    ),
    '    http-request return status 503 content-type text/plain string "no"',
  ]
  return { name: 'health', lines: {}, sections: [lines.join('\n'), ...alive(gateway, places(gateway).healthSocket)] }
}
