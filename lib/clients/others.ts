import { type Client, keyOf } from './client.ts'

/** What works by itself, and what is carried about. */
export const others: Client[] = [
  {
    name: 'n8n',
    title: 'n8n',
    kind: 'automation',
    groups: ['openai', 'responses'],
    snippets: (to) => [
      {
        where: 'n8n, Credentials, Create, OpenAI',
        text: `API Key: ${keyOf(to)}\nBase URL: ${to.base}/v1`,
      },
      { where: 'n8n, node OpenAI Chat Model', text: `Model, by ID: ${to.model}` },
    ],
    notes: ['Its credential "Ollama" needs the group native.'],
    seen: { read: 'n8n-nodes-base 2.41.2, OpenAI credential' },
  },
  {
    name: 'home-assistant',
    title: 'Home Assistant',
    kind: 'automation',
    groups: ['native', 'metadata'],
    snippets: (to) => [
      {
        where: 'Home Assistant, Settings, Devices & services, Add integration, Ollama',
        text: `URL: ${to.base}`,
      },
      { where: 'Home Assistant, Ollama, Add conversation agent', text: `Model: ${to.model}` },
    ],
    notes: [
      'Home Assistant has to be on the tailnet itself: its Tailscale add-on does that.',
      'Its integration can send no key: it needs `access: tailnet`, or this device under people.',
      'It downloads a model that is not installed, which is refused: choose one that is.',
    ],
    seen: { read: 'homeassistant 2026.2.3, components/ollama' },
  },
  {
    name: 'ios',
    title: 'apps for iPhone and iPad',
    kind: 'phone',
    groups: [],
    snippets: () => [],
    never:
      'Apple lets apps ask by plain http at home only (192.168…, .local), not over a tailnet’s addresses, and this server has no certificate yet.',
    notes: ['A page works: run Open WebUI on a computer of the tailnet and open that in the phone’s browser.'],
    seen: { read: 'developer.apple.com, App Transport Security; OpenOats issue 718' },
  },
]
