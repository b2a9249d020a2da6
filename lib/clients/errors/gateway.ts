import { typed } from '../../host/typed.ts'
import type { Explanation } from './explanation.ts'

const settled = `then ${typed('apply')}`

/** What the gateway itself says: it begins with "Gateway: ", and most clients show it word for word. */
export const gatewayErrors: Explanation[] = [
  {
    id: 'key.none-made',
    says: /no API key was made yet/i,
    cause: 'The server asks for an API key, and its owner has made none yet.',
    next: `On the server: ${typed('keys add NAME')}, and give this client the key that it shows.`,
    examples: [
      [
        'openai',
        '401 Gateway: no API key was made yet; send it as Authorization: Bearer KEY; the owner of this server makes one with rop keys add.',
      ],
    ],
  },
  {
    id: 'key.unknown',
    says: /API key (is not known here|missing or unknown)/i,
    cause: 'The key that this client sends is not one of this server: mistyped, revoked, or of another server.',
    next: `Compare the names on the server (${typed('keys list')}), and make a new one where in doubt: ${typed('keys add NAME')}.`,
    examples: [
      [
        'Claude Code',
        'Failed to authenticate. API Error: 401 Gateway: API key missing or unknown. Send Authorization: Bearer KEY.',
      ],
      [
        'Codex',
        'unexpected status 401 Unauthorized: Gateway: this API key is not known here; send it as Authorization: Bearer KEY; the owner of this server makes one with rop keys add.',
      ],
    ],
  },
  {
    id: 'key.missing',
    says: /an API key is needed/i,
    cause: 'This client sends no API key (or the word "ollama", which counts as none), and the server asks for one.',
    next: `Give the client its key. The \`ollama\` command can send none: let the tailnet tell who it is (access: either in settings.yaml, ${settled}).`,
    examples: [
      [
        'the ollama command',
        'Error: Gateway: an API key is needed; send it as Authorization: Bearer KEY; the owner of this server makes one with rop keys add.',
      ],
      ['llm', 'Error: 401 Gateway: an API key is needed; send it as Authorization: Bearer KEY'],
    ],
  },
  {
    id: 'key.expired',
    says: /this API key has expired/i,
    cause: 'The key is right, and its time is over.',
    next: `On the server: ${typed('keys limits NAME --expires 90d')} lets the same key in again.`,
    examples: [['aider', 'litellm.AuthenticationError: OpenAIException - Gateway: this API key has expired.']],
  },
  {
    id: 'key.revoked',
    says: /this API key was revoked/i,
    cause: 'The key was revoked while the question was on its way.',
    next: `Ask the owner; a new one is made by ${typed('keys add NAME')}.`,
    examples: [['opencode', 'Gateway: this API key was revoked while the request was being sent.']],
  },
  {
    id: 'key.twice',
    says: /the API key is given more than once/i,
    cause: 'The client sends the key twice, mostly because two of its settings hold one.',
    next: 'Leave one of them (in Claude Code: ANTHROPIC_AUTH_TOKEN, and no ANTHROPIC_API_KEY).',
    examples: [['curl', '{"error":"Gateway: the API key is given more than once."}']],
  },
  {
    id: 'key.banned',
    says: /wrong API keys came from this address/i,
    cause: 'Too many wrong keys came from this device within a minute, so that it is held back for a minute.',
    next: `Correct the key in the client, wait a minute. On the server: ${typed('keys unban ADDRESS')}.`,
    examples: [
      [
        'Qwen Code',
        '429 Gateway: over 60 wrong API keys came from this address within a minute; wait a minute. (1/10)',
      ],
    ],
  },
  {
    id: 'identity.old',
    says: /list of who is who on the tailnet is older/i,
    cause:
      'The server has not heard from Tailscale for minutes who its devices belong to, so it lets nobody in by that.',
    next: `On the server: ${typed('doctor')}`,
    examples: [
      [
        '@anthropic-ai/sdk',
        '401 {"error":{"message":"Gateway: the list of who is who on the tailnet is older than 5 minutes, so nobody gets in by it; the owner sees why with rop status."}}',
      ],
    ],
  },
  {
    id: 'group.not-yours',
    says: /may not use the group/i,
    cause: 'The key (or person) may use the server, and not this part of it.',
    next: `On the server: ${typed('keys list')} shows what it may; ${typed('keys limits NAME --groups …')} changes it.`,
    examples: [['Continue', '"403 Gateway: bob may not use the group embeddings."']],
  },
  {
    id: 'group.admin',
    says: /is not enabled on this server \(group: manage/i,
    cause: 'The client wants to change the models of the server, which no line of its settings opens to everybody.',
    next: `On the server: \`${typed('warm NAME')}\` downloads one; \`${typed('keys add NAME --admin')}\` makes a key that may, where access in settings.yaml is keys or either.`,
    examples: [
      [
        'ollama pull',
        'Error: Gateway: POST /api/pull is not enabled on this server (group: manage, only for a key made with --admin).',
      ],
    ],
  },
  {
    id: 'group.closed',
    says: /is not enabled on this server|its group \S+ is not enabled/i,
    cause: 'The client asks something that this server does not open; the group is named at the end of the text.',
    next: `On the server: add that group to groups in settings.yaml, ${settled}.`,
    examples: [
      ['ollama-js, Cline', 'ResponseError: Gateway: POST /api/chat is not enabled on this server (group: native).'],
      [
        'Vercel AI SDK',
        'AI_APICallError: Gateway: POST /v1/embeddings is not enabled on this server (group: embeddings).',
      ],
    ],
  },
  {
    id: 'row.count-tokens',
    says: /count_tokens is not offered/i,
    cause: 'Nothing is wrong: Ollama cannot count tokens beforehand, and clients then estimate.',
    next: 'Nothing.',
    examples: [
      [
        'Claude Code /context',
        'Gateway: POST /v1/messages/count_tokens is not offered; clients then estimate (group: count-tokens).',
      ],
    ],
  },
  {
    id: 'base-url.wrong',
    says: /give this client (a|the) base URL|the base URL is http|no more than a base URL|ends in a slash, and this server/i,
    cause: 'The base URL of this client has too much or too little behind the port.',
    next: 'Correct it as the text says: with /v1 for OpenAI-like clients, without for Claude Code and Ollama’s own.',
    examples: [
      [
        'Claude Code',
        'API Error: 403 Gateway: POST /v1/v1/messages has /v1 twice; give this client a base URL without /v1.',
      ],
      ['Codex', 'Gateway: POST /responses lacks /v1; give this client a base URL that ends in /v1.'],
    ],
  },
  {
    id: 'base-url.gemini',
    says: /is the API of Gemini/i,
    cause: 'This client speaks Gemini’s API only, which Ollama does not.',
    next: 'Use another client; Gemini CLI cannot work here.',
    examples: [
      [
        'Gemini CLI',
        'Gateway: POST /v1beta/models/qwen3:streamGenerateContent is the API of Gemini, which Ollama does not speak.',
      ],
    ],
  },
  {
    id: 'row.unknown',
    says: /is not an endpoint of this server|takes [A-Z]+( and [A-Z]+)* only/,
    cause: 'The client asks for an address, or in a way, that this server does not have.',
    next: 'Look at the client’s base URL first. What Ollama itself cannot do, the server cannot either.',
    examples: [
      ['curl', '{"error":{"message":"Gateway: GET /v1/files is not an endpoint of this server."}}'],
      ['a browser', 'Gateway: GET /v1/chat/completions takes POST only.'],
    ],
  },
  {
    id: 'model.not-yours',
    says: /may not use the model/i,
    cause: 'The key (or person) has a list of models, and this one is not on it.',
    next: `Ask for one of those it may use (GET /v1/models lists them), or on the server: ${typed('keys limits NAME --models …')}`,
    examples: [
      ['Claude Code', 'Failed to authenticate. API Error: 403 Gateway: bob may not use the model "qwen3-coder:30b".'],
    ],
  },
  {
    id: 'model.unreadable',
    says: /must be one JSON object that names its model once|nests too deep before its model|under a model list a request must send Content-Length/i,
    cause: 'A list of models holds for this key, and the gateway cannot read for sure which model is asked.',
    next: 'Use a client that names "model" first and once; keys without a list of models are not looked at that closely.',
    examples: [
      [
        'a script',
        'Gateway: a model list holds for bob, so the body must be one JSON object that names its model once, in plain letters.',
      ],
    ],
  },
  {
    id: 'model.list-not-in-force',
    says: /model list of .* is not in force yet|models of .* are not known to this gateway|does not tell which models it has|it tells which models/i,
    cause: 'The gateway does not know yet which models this key may use.',
    next: `On the server: ${typed('apply')}, and ${typed('doctor')} when it stays so.`,
    examples: [
      ['openai', '503 Gateway: the model list of bob is not in force yet; the owner runs rop apply.'],
      ['openai', 'Gateway: the models of bob are not known to this gateway; the owner sees why with rop status.'],
    ],
  },
  {
    id: 'name.not-served',
    says: /this host name .*is not served here/i,
    cause: 'The client uses a name for this server that the gateway does not know as its own.',
    next: `Use the address or the MagicDNS name. On the server: add the name to hosts in settings.yaml, ${settled}.`,
    examples: [
      [
        'curl',
        '421 Gateway: this host name ("llm.example.org") is not served here; the owner adds it to hosts in settings.yaml and runs rop apply',
      ],
    ],
  },
  {
    id: 'origin.not-allowed',
    says: /this web page \(Origin/i,
    cause: 'A web page (or app in a browser’s clothes) asks, and web pages are only let in by name.',
    next: `On the server: add it to origins in settings.yaml, ${settled}. Open WebUI asks from its own server and needs none.`,
    examples: [['a web page', 'Gateway: this web page (Origin: "https://chat.example.org") may not call the server']],
  },
  {
    id: 'body.too-large',
    says: /request body is (over|too large)|may have \d+ KB at most|may send \d+ KB at most|max 32 ?MB/i,
    status: [413],
    cause: 'The question is larger than the server takes: mostly pictures or files in it, or a very long conversation.',
    next: `Begin a new conversation or send less. On the server: body_limit (or the setting that is named) in settings.yaml, ${settled}.`,
    examples: [
      ['openai', '413 Gateway: the request body is over 32768 KB.'],
      ['Claude Code', 'Request too large (max 32MB). Try with a smaller file.'],
      [
        'a script',
        'Gateway: a body without Content-Length may have 100 KB at most (chunked_body in settings.yaml); send Content-Length.',
      ],
    ],
  },
  {
    id: 'limit.rate',
    says: /may start \d* ?requests|may have .*requests running at once|may then have .*requests under way/i,
    cause: 'The key (or address) has used up what it may start in a minute, or has too many under way at once.',
    next: `Wait; most clients try again by themselves. On the server: ${typed('keys limits NAME --per-minute 60')}, or limits in settings.yaml.`,
    examples: [
      ['Qwen Code', '429 Gateway: bob may start 20 requests a minute.'],
      ['ChatOllama', 'ResponseError: Gateway: bob may have 2 requests running at once.'],
    ],
  },
  {
    id: 'limit.day',
    says: /has used up its .* of this day/i,
    cause: 'The key (or person) has used up its share of this day.',
    next: `Wait until tomorrow. On the server: ${typed('keys limits NAME --per-day …')}`,
    examples: [
      [
        'Claude Code',
        'API Error: 429 Gateway: bob has used up its 2h of this day; it begins anew on 2026-11-30 at 00:00.',
      ],
    ],
  },
  {
    id: 'busy.queue',
    says: /no slot came free|all slots stayed busy|every slot is taken|requests are waiting already|maximum pending requests exceeded/i,
    cause: 'More is asked of the server at once than it can answer, and this question waited as long as it may.',
    next: `Try again in a minute. On the server: ${typed('status')} --watch shows who asks; inference.slots in settings.yaml lets more in at once.`,
    examples: [
      ['openai', '429 Gateway: all slots stayed busy, or Ollama is restarting; try again shortly.'],
      ['Continue', 'Gateway: 64 requests are waiting already; try again shortly.'],
      ['Ollama', 'server busy, please try again.  maximum pending requests exceeded'],
    ],
  },
  {
    id: 'engine.restarting',
    says: /about to restart Ollama/i,
    cause: 'The server is being brought up to date and takes no new questions for a moment.',
    next: 'Try again in some minutes.',
    examples: [['pi', '429 Gateway: the server is about to restart Ollama; try again shortly.']],
  },
  {
    id: 'engine.down',
    says: /Ollama is down on this server|Ollama does not answer, or is restarting/i,
    cause: 'The gateway is there, and Ollama behind it is not.',
    next: `On the server: ${typed('doctor')} says why.`,
    examples: [
      ['Copilot CLI', '503 Gateway: Ollama is down on this server.'],
      [
        'Codex',
        'unexpected status 503 Service Unavailable: Gateway: Ollama does not answer, or is restarting; try again shortly.',
      ],
    ],
  },
  {
    id: 'engine.invalid',
    says: /Ollama gave no valid answer/i,
    status: [502],
    cause: 'Ollama broke off before its answer began: it crashed (often for want of memory) or was restarted.',
    next: `Try again; when it comes back, a smaller model or context. On the server: ${typed('doctor')}`,
    examples: [
      ['openai', '502 Gateway: Ollama gave no valid answer (it may have crashed or been restarted).'],
      ['LiteLLM', 'litellm.BadGatewayError: OpenAIException - 502 Bad Gateway'],
    ],
  },
  {
    id: 'engine.silent',
    says: /Ollama stayed silent for too long|Gateway Time-?out/i,
    status: [504],
    cause:
      'The model said nothing for longer than the server waits: it was still loading, or is too large for this machine.',
    next: `Load it beforehand on the server (${typed('warm MODEL')}), or use a smaller one.`,
    examples: [
      ['openai', '504 Gateway: Ollama stayed silent for too long.'],
      ['LiteLLM', 'litellm.Timeout: 504 Gateway Time-out'],
    ],
  },
  {
    id: 'request.websocket',
    says: /no WebSocket here/i,
    status: [426],
    cause: 'The client tries a WebSocket, which Ollama does not have.',
    next: 'In Codex: take supports_websockets out of its provider. Others go on by plain HTTP by themselves.',
    examples: [['Codex', 'unexpected status 426 Upgrade Required: Gateway: no WebSocket here; use plain HTTP.']],
  },
  {
    id: 'request.compressed',
    says: /compressed request bodies are not taken/i,
    cause: 'The client sends its questions compressed, which the gateway does not read.',
    next: 'Switch compression of requests off in the client.',
    examples: [['Codex', '415 Gateway: compressed request bodies are not taken; send plain JSON.']],
  },
  {
    id: 'request.malformed',
    says: /request could not be understood|only HTTP\/1\.1 is spoken|names a whole URL, as for a proxy|headers are over 16 KB|path with its query is over 4 KB|method has over 24 letters|did not arrive in time|this method is not taken|error inside the gateway/i,
    cause:
      'The request is not in a form that the gateway takes, as its text says; mostly something between client and server changes it.',
    next: 'Use this server as base URL and not as a proxy, and try without another proxy in between.',
    examples: [
      [
        'curl -x',
        'Gateway: the request names a whole URL, as for a proxy; send the path alone, and use this server as base URL, not as proxy.',
      ],
      ['curl', 'Gateway: the request did not arrive in time.'],
    ],
  },
]
