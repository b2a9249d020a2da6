import { typed } from '../../host/typed.ts'
import type { Explanation } from './explanation.ts'

/** What clients say in words of their own, when they hide the server's or never reached it. */
export const clientErrors: Explanation[] = [
  {
    id: 'client.qwen-tools',
    says: /tool_call bridge refused/i,
    cause: 'Ollama takes Qwen Code’s own tool "tool_call" for the mark of a call; no gateway is involved.',
    next: 'In Qwen Code’s settings: "tools": {"toolSearch": {"enabled": false}}.',
    examples: [['Qwen Code', "[tool_call bridge refused] params must have required property 'name'"]],
  },
  {
    id: 'client.codex-oss',
    says: /no running Ollama server detected|failed to start pull/i,
    cause: '`codex --oss` sends no key and wants to download models, which is not open here.',
    next: 'Connect Codex as a provider with a key instead, not by --oss.',
    examples: [
      ['codex --oss', 'Error: no running Ollama server detected. Start it with: `ollama serve`'],
      ['codex --oss', 'failed to start pull: HTTP 403'],
    ],
  },
  {
    id: 'client.ollama-unreadable',
    says: /something went wrong, please see the ollama server logs/i,
    cause: 'The `ollama` command hides a refusal; nearly always it is 401: a key is asked for, which it cannot send.',
    next: `Let the tailnet tell who asks (access: either in settings.yaml, then ${typed('apply')}), or use another client.`,
    examples: [['the ollama command', 'Error: something went wrong, please see the ollama server logs for details']],
  },
  {
    id: 'key.refused',
    says: /Unauthorized|invalid.api.key|authentication_error|AuthenticationError/i,
    status: [401],
    cause: 'The server refuses the key of this client, and the client hides its words.',
    next: `Compare the names on the server (${typed('keys list')}); a new one: ${typed('keys add NAME')}.`,
    examples: [
      ['Copilot CLI', 'Authentication failed with your provider (HTTP 401). Check COPILOT_PROVIDER_API_KEY.'],
      ['curl', 'curl: (22) The requested URL returned error: 401'],
      ['Python openai', 'openai.AuthenticationError: Error code: 401'],
    ],
  },
  {
    id: 'refused.not-told',
    says: /Forbidden|permission_error|PermissionDenied/i,
    status: [403],
    cause:
      'The server refuses this request, and the client hides why: a group that is not open, or a model that the key may not use.',
    next: `On the server: ${typed('status')} --watch shows the last refusals with their reason.`,
    examples: [
      ['Copilot CLI', 'Authentication failed with your provider (HTTP 403)'],
      ['Vercel AI SDK', 'AI_APICallError: Forbidden'],
      ['ollama-js', 'Error 403: Forbidden'],
      ['openai', '403 status code (no body)'],
    ],
  },
  {
    id: 'name.unknown',
    says: /could not resolve host|ENOTFOUND|EAI_AGAIN|nodename nor servname|Name or service not known|no such host|getaddrinfo|failed to lookup address/i,
    cause:
      'This device does not know the server’s name: Tailscale is off here, or MagicDNS is, or the name is mistyped.',
    next: 'Connect Tailscale on this device, look at `tailscale status`, or use the server’s address 100.x.y.z.',
    examples: [
      ['curl', 'curl: (6) Could not resolve host: studio.tail1234.ts.net'],
      ['Node', 'TypeError: fetch failed … getaddrinfo ENOTFOUND studio'],
      ['Python', 'httpx.ConnectError: [Errno 8] nodename nor servname provided, or not known'],
    ],
  },
  {
    id: 'tls.none',
    says: /SSL|TLS|wrong version number|ERR_SSL|certificate|packet length too long/i,
    cause: 'The client speaks https, and the server speaks http (Tailscale encrypts underneath).',
    next: 'Write http:// in the base URL.',
    examples: [
      ['curl', 'curl: (35) error:0A00010B:SSL routines::wrong version number'],
      ['Node', 'ERR_SSL_WRONG_VERSION_NUMBER'],
    ],
  },
  {
    id: 'connection.refused',
    says: /ECONNREFUSED|ConnectionRefused|Connection refused|refused to connect|actively refused|could not connect to (a running )?ollama|Failed to connect to Ollama|tcp connect error|\(7\) Failed to connect/i,
    cause: 'The server’s machine is there, and nobody answers on that port: a wrong port, or the gateway does not run.',
    next: `Look at the port (11434 unless set; \`OLLAMA_HOST=http://HOST\` without one means 80). On the server: ${typed('doctor')}`,
    examples: [
      ['Claude Code', 'API Error: Unable to connect to API (ConnectionRefused)'],
      ['curl', 'curl: (7) Failed to connect to studio port 11434 after 3 ms: Connection refused'],
      ['Node', 'TypeError: fetch failed: connect ECONNREFUSED 100.101.102.103:11434'],
      ['the ollama command', 'Error: could not connect to a running Ollama instance'],
      [
        'Python ollama',
        'ConnectionError: Failed to connect to Ollama. Please check that Ollama is downloaded, running and accessible.',
      ],
    ],
  },
  {
    id: 'connection.silent-first',
    says: /HeadersTimeout|Headers Timeout|BodyTimeout|Body Timeout|idle timeout waiting for SSE|StreamIdle/i,
    cause:
      'The connection stood, and the client did not wait for the model: it was still loading, or reading a long question.',
    next: `Load it beforehand on the server (${typed('warm MODEL')}), and raise the client’s time (Codex: stream_idle_timeout_ms; Claude Code: API_TIMEOUT_MS).`,
    examples: [
      ['openai, AI SDK, LangChain', 'TypeError: fetch failed … HeadersTimeoutError: Headers Timeout Error'],
      ['Codex', 'stream disconnected before completion: idle timeout waiting for SSE'],
    ],
  },
  {
    id: 'connection.timeout',
    says: /timed? ?out|ETIMEDOUT|APITimeoutError|ReadTimeout|ConnectTimeout|UND_ERR_CONNECT_TIMEOUT|EHOSTUNREACH|No route to host|ENETUNREACH|Network is unreachable|EHOSTDOWN/i,
    cause:
      'No answer came in time: the server sleeps or is off the tailnet, a policy or firewall holds back this device, or the model is slow.',
    next: `From this device: \`tailscale ping HOST\`. No pong: wake the server, look at Tailscale’s policy; a pong: ${typed('doctor')} on the server (firewall, sleep, model).`,
    examples: [
      ['curl', 'curl: (28) Failed to connect to 100.101.102.103 port 11434 after 75003 ms: Operation timed out'],
      ['openai', 'APIConnectionTimeoutError: Request timed out.'],
      ['Python', 'httpx.ReadTimeout: The read operation timed out'],
      ['Node', 'connect EHOSTUNREACH 100.101.102.103:11434'],
    ],
  },
  {
    id: 'stream.cut',
    says: /terminated|ECONNRESET|Connection reset|socket hang up|premature close|transfer closed|unexpected EOF|incomplete chunked read|stream (was )?(disconnected|closed|ended)|stream disconnected|Did not receive done|RemoteProtocolError|Empty reply|\(18\)|\(52\)|other side closed|connection was closed/i,
    cause:
      'The answer broke off: Ollama or the gateway was restarted, a limit of time ended it, or the way to the server was lost.',
    next: `Ask again. When it comes back, on the server: ${typed('doctor')}`,
    examples: [
      ['openai', 'TypeError: terminated'],
      ['Codex', 'stream error: stream disconnected before completion: stream closed before response.completed'],
      ['curl', 'curl: (18) transfer closed with outstanding read data remaining'],
      [
        'Python',
        'httpx.RemoteProtocolError: peer closed connection without sending complete message body (incomplete chunked read)',
      ],
      ['ollama-js', 'Error: Did not receive done or success response in stream.'],
      ['opencode', 'socket hang up'],
    ],
  },
  {
    id: 'busy.not-told',
    says: /Too Many Requests|rate.?limit|RateLimitError|retrying in \d+/i,
    status: [429],
    cause: 'The server is busy, or the key has used up what it may; the client hides which.',
    next: `Wait a minute. On the server: ${typed('status')} --watch shows the last refusals with their reason.`,
    examples: [
      ['Codex', 'exceeded retry limit, last status: 429 Too Many Requests'],
      ['Qwen Code', 'Rate limit error: retrying in 60 s (1/10)'],
    ],
  },
  {
    id: 'down.not-told',
    says: /high demand|Service Unavailable|Internal server error|overloaded/i,
    status: [500, 503],
    cause:
      'Something on the server failed, and the client hides what: nearly always Ollama is down or a model broke down.',
    next: `On the server: ${typed('doctor')}`,
    examples: [
      ['Codex', 'We’re currently experiencing high demand, which may cause temporary errors.'],
      ['a browser', '<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.'],
      ['openai', '500 status code (no body)'],
    ],
  },
  {
    id: 'row.not-found',
    says: /page not found|Method Not Allowed/i,
    status: [404, 405],
    cause: 'The address that the client asks for is not there: mostly its base URL, or another server answers.',
    next: 'Look at base URL and port: with /v1 for OpenAI-like clients, without for Claude Code and Ollama’s own.',
    examples: [
      ['curl', '404 page not found'],
      ['openai', '404 status code (no body)'],
    ],
  },
  {
    id: 'connection.not-told',
    says: /Connection error|fetch failed|APIConnectionError|error sending request|network error|Failed to fetch|ConnectError|Unable to connect/i,
    cause: 'The client did not reach the server, and hides why.',
    next: 'Ask from the same device: curl http://HOST:11434/api/version, and give its words to --error.',
    examples: [
      ['openai', 'APIConnectionError: Connection error.'],
      ['Codex', 'stream error: error sending request for url (http://studio:11434/v1/responses)'],
      ['a web page', 'TypeError: Failed to fetch'],
    ],
  },
  {
    id: 'client.object',
    says: /\[object Object\]/,
    cause: 'This client cannot show the server’s words; it was given a base URL of another API.',
    next: 'Ollama’s own clients want http://HOST:PORT without /v1.',
    examples: [['ollama-js', 'ResponseError: [object Object]']],
  },
]
