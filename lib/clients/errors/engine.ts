import { typed } from '../../host/typed.ts'
import type { Explanation } from './explanation.ts'

/** What Ollama says, which passes the gateway unchanged. */
export const engineErrors: Explanation[] = [
  {
    id: 'model.absent',
    says: /model ["'][^"']*["'] not found|model '?\S+'? not found|model was not found|try pulling it first|issue with the selected model|model_not_found/i,
    cause: 'The server has no model of this name (qwen3 is qwen3:latest), or the base URL of the client is wrong.',
    next: `See what there is (GET /v1/models), or on the server: ${typed('warm MODEL')}. In Claude Code also look that the base URL has no /v1.`,
    examples: [
      ['openai', "404 model 'nope' not found"],
      ['ollama-js', 'ResponseError: model "qwen3:8b" not found, try pulling it first'],
      [
        'Claude Code',
        'There’s an issue with the selected model (qwen3). It may not exist or you may not have access to it. Run /model to pick a different model.',
      ],
      ['Copilot CLI', 'The requested model was not found.'],
    ],
  },
  {
    id: 'model.no-tools',
    says: /does not support tools/i,
    cause: 'This model cannot call tools, and agents are nothing without.',
    next: 'Choose one that can, such as qwen3 or qwen3-coder.',
    examples: [['opencode', 'registry.ollama.ai/library/tiny:latest does not support tools']],
  },
  {
    id: 'model.other-purpose',
    says: /does not support (insert|thinking|generate|chat|embeddings|completion)|invalid reasoning value/i,
    cause: 'This model is made for something else than what is asked of it.',
    next: 'Choose another model, or switch that off in the client (thinking, autocomplete, embeddings).',
    examples: [
      ['Continue', '"qwen3:0.6b" does not support insert'],
      ['aider', 'registry.ollama.ai/library/nomic-embed-text:latest does not support chat'],
    ],
  },
  {
    id: 'model.too-large',
    says: /requires more system memory|not enough (system )?memory|out of memory|unable to allocate|llama runner (process )?(has terminated|no longer running)|error was encountered while running the model/i,
    cause: 'The model did not fit into this machine’s memory, or its runner broke down.',
    next: `A smaller model, or a smaller context in settings.yaml. On the server: ${typed('doctor')} says which models are too large.`,
    examples: [
      ['the ollama command', 'Error: model requires more system memory (48.2 GiB) than is available (21.3 GiB)'],
      ['openai', '500 llama runner process has terminated: signal: killed'],
      ['@anthropic-ai/sdk', '500 an error was encountered while running the model: unexpected EOF'],
    ],
  },
  {
    id: 'context.too-long',
    says: /exceeds? the context (length|window)|context length exceeded|prompt is too long|context_length_exceeded|maximum context length|input is too long/i,
    cause: 'The conversation is longer than the context that the server gives a model.',
    next: `Compact or begin anew in the client. On the server: context in settings.yaml, then ${typed('apply')}; tell the client the same number.`,
    examples: [
      ['Ollama', 'the input length exceeds the context length'],
      ['Claude Code', 'Prompt is too long'],
      ['openai', 'This model’s maximum context length is 4096 tokens'],
    ],
  },
  {
    id: 'cloud.off',
    says: /ollama cloud is disabled|need to be signed in to Ollama|sign in to Ollama|Please run \/login|Not logged in/i,
    cause:
      'The client takes a refusal for a missing login at its maker’s; here nothing is to be logged in to, and cloud models are off.',
    next: 'Do not log in. Use a model without -cloud, and give this client its key and base URL.',
    examples: [
      ['the ollama command', 'Error: You need to be signed in to Ollama to run Cloud models.'],
      ['Ollama', 'ollama cloud is disabled: remote model is unavailable'],
      ['Claude Code', 'Not logged in · Please run /login'],
    ],
  },
  {
    id: 'request.images',
    says: /image URLs are not currently supported/i,
    cause: 'Ollama takes pictures as data, not as addresses.',
    next: 'Let the client send them in base64.',
    examples: [['openai', '400 image URLs are not currently supported, please use base64 encoded data instead']],
  },
  {
    id: 'request.invalid',
    says: /cannot unmarshal|looking for beginning of value|is required|\[\] is too short|missing request body|invalid model name|invalid message content type|Invalid value for/i,
    cause: 'The client sends something that Ollama does not understand in this place.',
    next: 'A newer version of the client or of Ollama may; send the text to the client’s makers otherwise.',
    examples: [
      [
        'openai',
        '400 json: cannot unmarshal string into Go struct field ChatCompletionRequest.temperature of type float64',
      ],
      ['@anthropic-ai/sdk', 'max_tokens is required and must be positive'],
    ],
  },
]
