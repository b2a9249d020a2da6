import { openGroups } from '../../site/settings.ts'
import { hasNodes, nodesIn } from '../nodes.ts'
import type { Gateway, Policy } from '../policy.ts'
import { shown, toCatalogue } from './nodes/index.ts'

/** The only headers the engine sees; whatever else a client sends, keys and cookies included, ends at the gateway. */
export const passedHeaders = [
  'content-type',
  'content-length',
  'transfer-encoding',
  'accept',
  'user-agent',
  'host',
  'expect',
]

/** Ollama refuses MagicDNS names as Host, so it is always shown its own address; method, target and body pass unchanged. */
export function rewrite(gateway: Gateway): Policy {
  const trailers = ['.if version_atleast(3.2)', 'option http-drop-request-trailers', '.endif']
  return {
    name: 'rewrite',
    lines: {
      rewrite: [
        `http-request del-header '^(?!(${passedHeaders.join('|')})$)' -m reg`,
        ...(hasNodes(gateway)
          ? shown(nodesIn(gateway))
          : [`http-request set-header host 127.0.0.1:${gateway.settings.engine.port}`]),
        'use_backend inference if inference',
        'use_backend metadata if { var(txn.backend) -m str metadata }',
        ...(hasNodes(gateway) ? [toCatalogue] : []),
        ...(openGroups(gateway.settings).includes('metrics')
          ? ['use_backend metrics if { var(txn.backend) -m str metrics }']
          : []),
      ],
      inference: trailers,
      metadata: trailers,
    },
  }
}
