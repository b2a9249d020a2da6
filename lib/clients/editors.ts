import { type Client, keyOf, pretty } from './client.ts'

/** Editors, and what lives in them. */
export const editors: Client[] = [
  {
    name: 'continue',
    title: 'Continue',
    kind: 'editor',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: '~/.continue/config.yaml',
        text: `name: mac
version: 0.0.1
schema: v1
models:
  - name: ${to.model}
    provider: openai
    model: ${to.model}
    apiBase: ${to.base}/v1
    apiKey: ${keyOf(to)}
    roles: [chat, edit, apply]
    defaultCompletionOptions:
      contextLength: ${to.context}`,
      },
    ],
    notes: ['Its program for the terminal is cn; the extensions for VS Code and JetBrains read the same file.'],
    seen: { run: '1.5.47' },
  },
  {
    name: 'zed',
    title: 'Zed',
    kind: 'editor',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: '~/.config/zed/settings.json',
        text: pretty({
          language_models: {
            openai_compatible: {
              mac: {
                api_url: `${to.base}/v1`,
                available_models: [
                  {
                    name: to.model,
                    display_name: to.model,
                    max_tokens: to.context,
                    max_output_tokens: 8192,
                    capabilities: { tools: true, images: false, parallel_tool_calls: false, prompt_cache_key: false },
                  },
                ],
              },
            },
          },
        }),
      },
      { where: 'Zed, Settings, AI, LLM Providers, mac', text: `API key: ${keyOf(to)}` },
    ],
    notes: ['It lists no models by itself: each one is an entry of available_models.'],
    seen: { read: 'zed.dev/docs/ai, OpenAI-compatible endpoints' },
  },
  {
    name: 'vscode',
    title: 'VS Code chat',
    kind: 'editor',
    groups: ['openai'],
    snippets: (to) => [
      {
        where: 'chatLanguageModels.json',
        text: pretty([
          {
            name: 'Mac',
            vendor: 'customendpoint',
            apiType: 'chat-completions',
            apiKey: keyOf(to),
            models: [
              {
                id: to.model,
                name: to.model,
                url: `${to.base}/v1/chat/completions`,
                toolCalling: true,
                vision: false,
                maxInputTokens: to.context - 8192,
                maxOutputTokens: 8192,
              },
            ],
          },
        ]),
      },
    ],
    notes: [
      'VS Code 1.122 or newer. The command "Chat: Manage Language Models" opens the file by the wheel beside a provider; add the entry to the list that is there.',
      'With "Add, Custom Endpoint" it asks for the key and keeps it apart from the file.',
    ],
    seen: { read: 'code.visualstudio.com/docs, AI language models, Custom Endpoint' },
  },
  {
    name: 'cursor',
    title: 'Cursor',
    kind: 'editor',
    groups: [],
    snippets: () => [],
    never:
      'Cursor’s own servers ask the model, not your computer, and they reach no private address such as a tailnet’s.',
    seen: { read: 'github.com/cursor/cursor, issues 1380 and 2520' },
  },
]
