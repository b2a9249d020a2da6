import { type Fields, fieldsOf, isFields, listOf, text } from './shape.ts'
import type { TEMPLATES, Voice } from './templates.ts'

/** One thing a model says: what clients see of it, what it was in the raw text, and how many tokens it took. */
export interface Piece {
  kind: 'content' | 'thinking' | 'tool' | 'hidden'
  text: string
  raw: string
  tokens: number
  call?: { name: string; arguments: Fields }
}

export const SENTENCE = [
  'Hello',
  ' from',
  ' the',
  ' tiny',
  ' model',
  ':',
  ' one',
  ' two',
  ' three',
  ' four',
  ' five',
  ' café',
  ' 🙂',
  ' <b>&</b>',
  ' "quoted"',
  '\nlast',
  ' line.',
]
const JSON_TEXT = ['{"answer"', ': "yes"', ', "score"', ': 7', '}']
const TOOL = [
  '<tool_call>',
  '\n{"name"',
  ': "get_',
  'weather"',
  ', "arguments"',
  ': {"city"',
  ': "Paris"}}',
  '\n</tool_call>',
]
const TWO_TOOLS = [
  '<tool_call>\n',
  '{"name": "get_weather", ',
  '"arguments": ',
  '{"city": "Oslo"}}\n',
  '</tool_call>\n',
  '<tool_call>\n{',
  '"name": "get_time", ',
  '"arguments": {',
  '"zone": "UTC"}',
  '}\n</tool_call>',
]

const say = (part: string): Piece => ({ kind: 'content', text: part, raw: part, tokens: part === ' 🙂' ? 2 : 1 })
const hide = (raw: string): Piece => ({ kind: 'hidden', text: '', raw, tokens: 1 })
const think = (part: string, raw = part): Piece => ({ kind: 'thinking', text: part, raw, tokens: 1 })
const call = (raw: string, name: string, args: Fields): Piece => ({
  kind: 'tool',
  text: '',
  raw,
  tokens: 1,
  call: { name, arguments: args },
})

const THOUGHT: Piece[] = [
  hide('<think>'),
  think('The user', '\nThe user'),
  think(' wants an'),
  think(' answer;'),
  think(' keep it'),
  think(' short.'),
  think('\n', '\n</think>'),
  hide('\n\n'),
]

const toolPieces = (): Piece[] => [
  ...TOOL.slice(0, 6).map(hide),
  call(TOOL[6] ?? '', 'get_weather', { city: 'Paris' }),
  hide(TOOL[7] ?? ''),
]
const twoToolPieces = (): Piece[] =>
  TWO_TOOLS.map((raw, at) => {
    if (at === 3) return call(raw, 'get_weather', { city: 'Oslo' })
    return at === 9 ? call(raw, 'get_time', { zone: 'UTC' }) : hide(raw)
  })

/** ` w00` … ` w63` and a newline, for ever: a lost or doubled piece shows. */
function* loop(): Generator<Piece> {
  for (let i = 0; ; i = (i + 1) % 64) yield say(` w${String(i).padStart(2, '0')}${i === 63 ? '\n' : ''}`)
}

/** A value that a JSON schema allows. */
export const instanceOf = (schema: unknown): unknown => {
  const s = fieldsOf(schema)
  if (s.const !== undefined) return s.const
  if (Array.isArray(s.enum)) return s.enum[0]
  const type = Array.isArray(s.type) ? s.type[0] : s.type
  if (type === 'object' || s.properties) {
    return Object.fromEntries(Object.entries(fieldsOf(s.properties)).map(([key, value]) => [key, instanceOf(value)]))
  }
  if (type === 'array') return [instanceOf(s.items)]
  const alternative = listOf(s.anyOf ?? s.oneOf)[0]
  if (alternative) return instanceOf(alternative)
  const scalars: Record<string, unknown> = { integer: 7, number: 7, boolean: true, null: null }
  return typeof type === 'string' && type in scalars ? scalars[type] : 'yes'
}

const inWords = (sentence: string): Piece[] => (sentence.match(/\s?\S+|\s+$/g) ?? []).map(say)

/** What is said: by the toy models their fixed words, by all others something that fits the request. */
export interface Speech {
  voice: Voice
  toy: boolean
  model: string
  tools: unknown[]
  /** `json`, a schema, or undefined. */
  format: unknown
  lastUser: string
}

const toolCall = (tools: unknown[]): Piece[] => {
  const wanted = fieldsOf(fieldsOf(tools[0]).function)
  const args = fieldsOf(instanceOf(wanted.parameters ?? { type: 'object' }))
  const raw = `<tool_call>{"name": "${text(wanted.name)}", "arguments": ${JSON.stringify(args)}}`
  return [hide('<tool_call>'), call(raw, text(wanted.name), args), hide('</tool_call>')]
}

const answer = (speech: Speech): Piece[] => {
  const words = speech.lastUser.trim().split(/\s+/).filter(Boolean).length
  return inWords(`Hello! This is ${speech.model}. Your message had ${words} word${words === 1 ? '' : 's'}.`)
}

const formatted = (speech: Speech): Piece[] =>
  speech.format === 'json' || speech.toy || !isFields(speech.format)
    ? JSON_TEXT.map(say)
    : (JSON.stringify(instanceOf(speech.format)).match(/[^,]+,?/g) ?? []).map(say)

/** The pieces of one answer, in order; the stop token is not among them. */
export const piecesOf = (speech: Speech): Iterable<Piece> => {
  const story = speech.toy ? SENTENCE.map(say) : answer(speech)
  if (speech.voice === 'loop') return loop()
  if (speech.voice === 'tool') return offered(speech.toy ? toolPieces() : toolCall(speech.tools), speech)
  if (speech.voice === 'twotools') return offered(twoToolPieces(), speech)
  if (speech.format !== undefined) return formatted(speech)
  if (speech.voice === 'json') return JSON_TEXT.map(say)
  return speech.voice === 'think' ? [...THOUGHT, ...story] : story
}

/** A call of a tool that was not offered is swallowed, as Ollama's parser does; a nameless tool takes any call. */
const offered = (pieces: Piece[], speech: Speech): Piece[] => {
  const names = speech.tools.map((tool) => text(fieldsOf(fieldsOf(tool).function).name))
  return pieces.flatMap((piece) => {
    if (!piece.call || names.includes(piece.call.name)) return [piece]
    return names.includes('') ? [{ ...piece, call: { ...piece.call, name: '' } }] : [hide(piece.raw)]
  })
}

/** How a kind of model in the registry file is made. */
export type Kind = keyof typeof TEMPLATES | 'embed'
