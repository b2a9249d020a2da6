/** The chat templates of the toy models; the last start token decides what a model says. */
export type Voice = 'story' | 'loop' | 'json' | 'tool' | 'twotools' | 'think'

const turns = (voice: Voice): string =>
  `{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n<|${voice}|>`

const tools = (voice: Voice): string => `{{- if .Tools }}<|im_start|>system
Tools:
{{ range .Tools }}{{ . }}
{{ end }}<|im_end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}<|im_start|>{{ .Role }}
{{ .Content }}
{{- if .ToolCalls }}
<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>
{{- end }}<|im_end|>
{{ if $last }}<|im_start|>assistant
{{ if and $.Tools (ne .Role "tool") }}<|${voice}|>{{ else }}<|story|>{{ end }}
{{- end }}
{{- end }}`

const THINKING = `{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}<|im_start|>{{ .Role }}
{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}<|im_end|>
{{ if $last }}<|im_start|>assistant
{{ if and $.IsThinkSet (not $.Think) }}<|story|>{{ else }}<|think|>{{ end }}
{{- end }}
{{- end }}`

const FIM =
  '{{- if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ else }}{{ .Prompt }}<|story|>{{ end }}'

export const TEMPLATES = {
  plain: turns('story'),
  loop: turns('loop'),
  json: turns('json'),
  tools: tools('tool'),
  twotools: tools('twotools'),
  think: THINKING,
  insert: FIM,
} as const

export interface ChatMessage {
  role: string
  content: string
  thinking?: string
  toolCalls?: { name: string; arguments: unknown }[]
}
export interface PromptInput {
  messages: ChatMessage[]
  prompt: string
  suffix: string
  tools: unknown[]
  think: boolean | undefined
}
export interface Prompt {
  text: string
  voice: Voice
}

/** Messages as templates see them: neighbours of one role joined, as Ollama's `collate` does. */
const collate = (messages: ChatMessage[]): ChatMessage[] => {
  const out: ChatMessage[] = []
  for (const message of messages) {
    const last = out.at(-1)
    if (last && last.role === message.role && message.role !== 'tool') last.content += `\n\n${message.content}`
    else out.push({ ...message })
  }
  return out
}

const voiceOf = (template: string): Voice => {
  const found = [...template.matchAll(/<\|(story|loop|json|tool|twotools|think)\|>/g)].map(
    ([, voice]) => voice as Voice,
  )
  return found.find((voice) => voice !== 'story') ?? 'story'
}

const line = (message: ChatMessage, inner: string): string => `<|im_start|>${message.role}\n${inner}<|im_end|>\n`
const endOf = (voice: Voice): string => `<|im_start|>assistant\n<|${voice}|>`

const withTools = (template: string, input: PromptInput, json: (value: unknown) => string): Prompt => {
  const messages = collate(input.messages)
  const head = input.tools.length
    ? `<|im_start|>system\nTools:\n${input.tools.map((tool) => `${json(tool)}\n`).join('')}<|im_end|>\n`
    : ''
  const calls = (message: ChatMessage): string =>
    message.toolCalls?.length
      ? `\n<tool_call>\n${message.toolCalls.map((c) => `{"name": "${c.name}", "arguments": ${json(c.arguments)}}\n`).join('')}</tool_call>`
      : ''
  const voice = input.tools.length > 0 && messages.at(-1)?.role !== 'tool' ? voiceOf(template) : 'story'
  return { text: head + messages.map((m) => line(m, m.content + calls(m))).join('') + endOf(voice), voice }
}

/** Renders one of the known templates; any other counts as a bare prompt. */
export const render = (template: string, input: PromptInput, json: (value: unknown) => string): Prompt => {
  const messages = collate(input.messages)
  if (template.includes('.Tools')) return withTools(template, input, json)
  if (template.includes('.Thinking')) {
    const voice = input.think === false ? 'story' : 'think'
    const inner = (m: ChatMessage) => `${m.thinking ? `<think>${m.thinking}</think>` : ''}${m.content}`
    return { text: messages.map((m) => line(m, inner(m))).join('') + endOf(voice), voice }
  }
  if (template.includes('.Suffix') && input.suffix) {
    return { text: `<|fim_prefix|>${input.prompt}<|fim_suffix|>${input.suffix}<|fim_middle|>`, voice: 'story' }
  }
  const voice = voiceOf(template)
  if (template.includes('.Messages'))
    return { text: messages.map((m) => line(m, m.content)).join('') + endOf(voice), voice }
  return { text: `${input.prompt || messages.map((m) => m.content).join('\n')}<|${voice}|>`, voice }
}
