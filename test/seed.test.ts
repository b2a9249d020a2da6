import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { partChecks, probes } from '../lib/checks/index.ts'
import { meaning } from '../lib/checks/means.ts'
import { gatewayOf } from '../lib/gateway/of-site.ts'
import { parts } from '../lib/parts/index.ts'
import { expandGroups, presets } from '../lib/site/endpoints.ts'
import { settingExamples } from '../lib/site/examples.ts'
import { isStep } from '../lib/steps/step.ts'
import { byAddress, kindOf, newer, proofIds, usual } from '../sandbox/stories/proof-remedies.ts'
import { byCommand, byInstall, elsewhere } from '../sandbox/stories/remedies.ts'
import { jobs, machine, setup } from './sample.ts'

const target = {
  address: '100.64.0.1',
  port: 11434,
  host: '100.64.0.1:11434',
  engine: { address: '127.0.0.1', port: 11434 },
  groups: expandGroups(presets.agents ?? []),
  model: { name: 'tiny', capabilities: ['completion', 'tools'] },
}
const checks = [...partChecks(machine, { ...setup, jobs }), ...probes(target, gatewayOf(machine, setup))]

it('says in words of its own what is true when a step was taken back', () => {
  const steps = parts.flatMap((part) => part.steps(machine, { ...setup, jobs }).filter(isStep))
  expect(steps.filter(({ undo, undone }) => undo && !undone).map(({ id }) => id)).toEqual([])
})

/** Every bullet of the product description's testing section, and the check that holds it. */
const bullets: Record<string, string> = {
  'HAProxy LaunchAgent loaded and running': 'haproxy.service',
  'HAProxy listening on the Tailscale address': 'haproxy.listens',
  'Ollama LaunchAgent loaded and running': 'ollama.service',
  'Ollama process running as user (not root)': 'ollama.user',
  'Ollama bound to loopback only (by lsof)': 'ollama.loopback-only',
  'Ollama is unreachable from the Tailscale IP directly': 'isolation.engine',
  'HAProxy forwards allowlisted endpoints only': 'rows.post-v1-chat-completions',
  'non-allowlisted endpoints are blocked': 'refused.manage',
  'GET /v1/models returns a list': 'openai.models',
  'GET /v1/models/{model} returns one model': 'openai.model',
  'POST /v1/chat/completions, not streaming': 'openai.chat',
  'POST /v1/chat/completions, streaming': 'openai.chat-stream',
  'JSON mode works': 'openai.json-mode',
  'POST /v1/responses': 'openai.responses',
  'POST /v1/messages, not streaming': 'anthropic.messages',
  'POST /v1/messages, streaming with the right events': 'anthropic.messages-stream',
  'system prompt': 'anthropic.system-prompt',
  'nonexistent model': 'anthropic.unknown-model',
  'overhead under 1 ms': 'performance.overhead',
  'no buffering of streams': 'streaming.no-buffering',
}

describe('test.ts', () => {
  it.each(Object.entries(bullets))('holds "%s"', (_bullet, id) => {
    expect(checks.map((check) => check.id)).toContain(id)
  })

  it('has 45 checks or more, 20 of the OpenAI family and 6 of the Anthropic one, refusals and files not counted', () => {
    const family = (name: string) => checks.filter((check) => check.id.startsWith(`${name}.`)).length
    expect(checks.length).toBeGreaterThanOrEqual(45)
    expect(family('openai')).toBeGreaterThanOrEqual(20)
    expect(family('anthropic')).toBeGreaterThanOrEqual(6)
  })

  it('gives every check an id of its own', () => {
    expect(checks.map((check) => check.id).filter((id, at, all) => all.indexOf(id) !== at)).toEqual([])
  })

  it('names every check part.thing', () => {
    expect(checks.map((check) => check.id).filter((id) => !/^[a-z]+\.[\w.:-]+$/.test(id))).toEqual([])
  })
})

it('says of every miss what it means for people', () => {
  const all = partChecks(machine, { ...setup, jobs, settings: { ...setup.settings, models: ['qwen3:0.6b'] } })
  expect(all.map(({ id }) => id).filter((id) => meaning(id) === undefined)).toEqual([])
})

describe('the remedy of every miss', () => {
  it('is walked in the box, or said to be held elsewhere', () => {
    const proxied = [
      ...partChecks(machine, { ...setup, jobs, settings: { ...setup.settings, models: ['qwen3:0.6b'] } }),
    ]
    const known = { ...byInstall, ...byCommand, ...elsewhere }
    const families =
      /^(power|firewall|alerts|anomaly|isolation|files|haproxy\.(listens|listener-pid|identity|magic-name))/
    expect(proxied.map(({ id }) => id).filter((id) => !(id in known) && !families.test(id))).toEqual([])
  })

  it('is walked in the box where it is that of a proof, whatever the settings are', () => {
    const walked = new Set([usual, byAddress, newer].flatMap(proofIds).map(kindOf))
    const possible = Object.entries(settingExamples).flatMap(([path, values]) =>
      values.flatMap((value) => {
        const one = path.split('.').reduceRight<unknown>((inner, word) => ({ [word]: inner }), value)
        const tls = { 'ai.example.net': 'own-ca', ...(path === 'services' ? { '*.example.net': 'own-ca' } : {}) }
        const lan = { addresses: ['192.168.78.1'], sources: ['192.168.78.0/24'] }
        const around = { access: 'keys', tls, ...(path === 'services' ? { listeners: { lan } } : {}) }
        return proofIds(stringify({ ...around, ...(one as object) }))
      }),
    )
    // What listens beyond the tailnet is hurt in the lab, where addresses can be had: sandbox/stories/listener-proofs.test.ts, nodes-proofs.test.ts, services.test.ts and services-machines.test.ts.
    const inLab = /^(listeners|nodes|services)\./
    expect([...new Set(possible.map(kindOf))].filter((kind) => !walked.has(kind) && !inLab.test(kind))).toEqual([])
  })
})
