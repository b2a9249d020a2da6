import { expect, it } from 'vitest'
import { gateway, templates } from '../../../test/gateway.ts'
import { render } from '../config.ts'

it('the observer is asked for its numbers by its own address, where requests are spread over nodes, too', () => {
  const settings = 'access: keys\ngroups: [metrics]\nmetrics: { port: 9412 }\n'
  for (const more of ['', 'nodes: { gpu: { address: 192.0.2.7, engine: vllm } }']) {
    const { text } = render(gateway(settings + more), templates)
    const backend = /^backend metrics\n((?: .*\n)+)/m.exec(text)?.[1]
    expect(backend).toContain('    http-request set-header host 127.0.0.1:9412\n')
  }
})
