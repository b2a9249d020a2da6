import { places } from '../../platform/here.ts'
import { openGroups } from '../../site/settings.ts'
import type { Gateway, Policy } from '../policy.ts'
import { body } from '../refusal.ts'

/** HAProxy's own numbers on a socket for its owner alone, where it was built with them: Debian's and Homebrew's are. */
const exporter = (gateway: Gateway): string =>
  [
    '.if feature(PROMEX)',
    'frontend exporter',
    `    bind "unix@${places(gateway).metricsSocket}" mode 600`,
    '    no log',
    '    http-request use-service prometheus-exporter if { path /metrics }',
    '    http-request deny',
    '.endif',
  ].join('\n')

/** The observer's numbers, for who may see them. */
const backend = (gateway: Gateway): string =>
  [
    'backend metrics',
    '    no log',
    '    timeout server 10s',
    `    http-error status 503 content-type application/json lf-string '${body(503, 'the observer of this server does not run, and it serves the metrics.')}'`,
    // It answers no foreign Host, and where there are nodes none of them has been chosen that would give one.
    `    http-request set-header host 127.0.0.1:${gateway.settings.metrics.port}`,
    `    server observer 127.0.0.1:${gateway.settings.metrics.port}`,
  ].join('\n')

/** Numbers for Prometheus: HAProxy's for the observer, and the observer's for a key with the group `metrics`. */
export function metrics(gateway: Gateway): Policy {
  const { settings } = gateway
  return {
    name: 'metrics',
    lines: {},
    sections: [
      ...(settings.observer === 'on' ? [exporter(gateway)] : []),
      ...(openGroups(settings).includes('metrics') ? [backend(gateway)] : []),
    ],
  }
}
