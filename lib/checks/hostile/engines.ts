import type { EngineName } from '../../site/engines.ts'
import { get, type Hostile, nobody, post } from './form.ts'

const refused = (method: 'GET' | 'POST', target: string, text?: string): Hostile => ({
  name: `${method} ${target}`,
  expect: '403',
  bytes: method === 'GET' ? get(target) : post(target, [], text),
})

const gets = (...targets: string[]) => targets.map((target) => refused('GET', target))
const posts = (...targets: string[]) => targets.map((target) => refused('POST', target))

/** An object that none of them can do anything with. */
const nothing = '{}'

/**
 * What each kind of engine listens to beside the rows of ours, by their documents (facts: services.md §2, nodes.md §7). Where a
 * path would stop or change something, its words are such that the engine itself refuses them.
 */
export const atEngine: Partial<Record<EngineName, Hostile[]>> = {
  vllm: [
    ...posts('/invocations', '/tokenize', '/detokenize', '/pooling', '/classify', '/score', '/v1/score'),
    ...posts('/rerank', '/v1/rerank', '/v2/rerank', '/generative_scoring', '/inference/v1/generate'),
    ...posts(
      '/pause?mode=none',
      '/sleep?level=none',
      '/wake_up?tags=none',
      '/reset_prefix_cache?reset_running_requests=none',
    ),
    ...[
      '/scale_elastic_ep',
      '/collective_rpc',
      '/update_weights',
      '/v1/load_lora_adapter',
      '/v1/unload_lora_adapter',
    ].map((target) => refused('POST', target, nothing)),
    ...gets('/metrics', '/load', '/ping', '/version', '/server_info', '/tokenizer_info', '/is_paused', '/is_sleeping'),
    ...gets('/health', '/v1/realtime', '/docs', '/openapi.json'),
  ],
  llamacpp: [
    ...gets('/slots', '/props', '/metrics', '/lora-adapters', '/health', '/v1/health', '/models'),
    ...['/props', '/lora-adapters', '/slots/0?action=none', '/apply-template', '/completion', '/infill'].map((target) =>
      refused('POST', target, nothing),
    ),
    ...posts('/tokenize', '/detokenize', '/embedding', '/rerank', '/v1/rerank', '/models/load', '/models/unload'),
  ],
  lmstudio: [
    ...gets('/api/v1/models', '/api/v0/models', '/api/v1/models/download/status/none', '/llm', '/system', '/files'),
    ...posts('/api/v1/chat', '/api/v0/chat/completions', '/api/v0/completions', '/api/v0/embeddings'),
    ...['/api/v1/models/load', '/api/v1/models/unload', '/api/v1/models/download'].map((target) =>
      refused('POST', target, JSON.stringify({ model: nobody, instance_id: nobody })),
    ),
  ],
  mlx: [...posts('/chat/completions'), ...gets('/health', '/models')],
}
