import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'

/** A value of a GGUF file's head. */
type Value = string | number | boolean | string[] | number[]

interface Tensor {
  /** rows of this length; a single row is a vector */
  data: Float32Array
  width: number
}

/** The types of GGUF version 3 (ggml's docs/gguf.md) that are needed here. */
const types = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 }

const bytesOf = (size: number, put: (buffer: Buffer) => void): Buffer => {
  const buffer = Buffer.alloc(size)
  put(buffer)
  return buffer
}
const u32 = (value: number) => bytesOf(4, (buffer) => buffer.writeUInt32LE(value))
const u64 = (value: number) => bytesOf(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)))
const f32 = (value: number) => bytesOf(4, (buffer) => buffer.writeFloatLE(value))
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])

/** Numbers with a fraction are floats, and so are those that a head names so. */
const isFloat = (key: string, value: number): boolean => !Number.isInteger(value) || key.endsWith('freq_base')

function encoded(key: string, value: Value): Buffer {
  if (typeof value === 'string') return Buffer.concat([u32(types.string), text(value)])
  if (typeof value === 'boolean') return Buffer.concat([u32(types.bool), Buffer.from([Number(value)])])
  if (typeof value === 'number')
    return isFloat(key, value)
      ? Buffer.concat([u32(types.float32), f32(value)])
      : Buffer.concat([u32(types.uint32), u32(value)])
  const of = typeof value[0] === 'string' ? types.string : types.int32
  const each = value.map((one) => (typeof one === 'string' ? text(one) : u32(one)))
  return Buffer.concat([u32(types.array), u32(of), u64(value.length), ...each])
}

const alignment = 32
const padded = (data: Buffer): Buffer =>
  Buffer.concat([data, Buffer.alloc((alignment - (data.length % alignment)) % alignment)])

/** A GGUF file of 32-bit floats. */
function gguf(head: Record<string, Value>, tensors: Record<string, Tensor>): Buffer {
  const parts = [Buffer.from('GGUF'), u32(3), u64(Object.keys(tensors).length), u64(Object.keys(head).length)]
  for (const [key, value] of Object.entries(head)) parts.push(text(key), encoded(key, value))
  let offset = 0
  const data: Buffer[] = []
  for (const [name, { data: numbers, width }] of Object.entries(tensors)) {
    const shape = numbers.length === width ? [width] : [width, numbers.length / width]
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(0), u64(offset))
    const bytes = padded(Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength))
    data.push(bytes)
    offset += bytes.length
  }
  return Buffer.concat([padded(Buffer.concat(parts)), ...data])
}

/** The same numbers from -1 to 1 for the same seed on every machine. */
function numbers(seed: string, count: number): Float32Array {
  const blocks = Array.from({ length: Math.ceil(count / 16) }, (_, at) =>
    createHash('sha256').update(`${seed}:${at}`).digest(),
  )
  const bytes = Buffer.concat(blocks)
  return Float32Array.from({ length: count }, (_, at) => bytes.readUInt16LE(2 * at) / 32768 - 1)
}
const signs = (seed: string, count: number): Float32Array => numbers(seed, count).map((one) => (one < 0 ? -1 : 1))
const even = (value: number, count: number): Float32Array => new Float32Array(count).fill(value)

/** GPT-2's letter for each byte: those that can be printed stand for themselves. */
const letters = (() => {
  const shown = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  let more = 255
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(shown(byte) ? byte : ++more))
})()
const inLetters = (piece: string): string => [...Buffer.from(piece)].map((byte) => letters[byte]).join('')

export const endOfTurn = '<|im_end|>'
/** As Ollama writes templates. */
export const chatTemplate =
  '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n<|say|>'
/** As llama.cpp does. */
export const jinjaTemplate =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n<|say|>"

/** Word for word what it says, to anything; none is a single letter, which a token is of itself. */
const said = ['Hello', ' from', ' the', ' tiny', ' model.']
export const saying = said.join('')

/** Rows of a matrix, by the function that gives each. */
const rows = (count: number, width: number, row: (at: number) => Float32Array): Tensor => {
  const data = new Float32Array(count * width)
  for (let at = 0; at < count; at += 1) data.set(row(at), at * width)
  return { data, width }
}

const control = ['<|bos|>', '<|im_start|>', endOfTurn, '<|say|>']
const pieces = said.map(inLetters)
// A tokenizer of this kind has at least one pair that becomes one.
const tokens = [...control, ...letters, ...pieces, 'he']
const [width, layers, inner] = [256, 2, 64]

const head: Record<string, Value> = {
  'general.architecture': 'llama',
  'general.name': 'tiny',
  'general.file_type': 0,
  'llama.context_length': 4096,
  'llama.embedding_length': width,
  'llama.block_count': layers,
  'llama.feed_forward_length': inner,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 4,
  'llama.attention.layer_norm_rms_epsilon': 1e-5,
  'llama.rope.freq_base': 10_000,
  'llama.rope.dimension_count': width / 4,
  'llama.vocab_size': tokens.length,
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'default',
  'tokenizer.ggml.tokens': tokens,
  'tokenizer.ggml.token_type': tokens.map((_, at) => (at < control.length ? 3 : 1)),
  'tokenizer.ggml.merges': ['h e'],
  'tokenizer.ggml.bos_token_id': 0,
  'tokenizer.ggml.eos_token_id': tokens.indexOf(endOfTurn),
  'tokenizer.ggml.add_bos_token': false,
  'tokenizer.chat_template': jinjaTemplate,
}

const matrix = (height: number, wide: number): Tensor => ({ data: even(0, height * wide), width: wide })
const norm = (): Tensor => ({ data: even(1, width), width })

/** A layer that adds nothing to what comes in. */
const layer = (at: number): [string, Tensor][] =>
  Object.entries({
    attn_norm: norm(),
    ffn_norm: norm(),
    attn_q: matrix(width, width),
    attn_k: matrix(width, width),
    attn_v: matrix(width, width),
    attn_output: matrix(width, width),
    ffn_gate: matrix(inner, width),
    ffn_up: matrix(inner, width),
    ffn_down: matrix(width, inner),
  }).map(([name, tensor]) => [`blk.${at}.${name}.weight`, tensor])

/**
 * A model of the architecture of Llama that says one sentence: its layers add nothing, so the last token alone decides the next, and the
 * output matrix maps each to its successor.
 */
export function writeChatModel(file: string): void {
  const chain = ['<|say|>', ...pieces, endOfTurn].map((token) => tokens.indexOf(token))
  const before = new Map(chain.slice(1).map((token, at) => [token, chain[at]]))
  const embedding = (at: number) => signs(`token ${at}`, width)
  const output = (at: number) => {
    const from = before.get(at)
    return from === undefined
      ? numbers(`noise ${at}`, width).map((one) => one * 0.004)
      : embedding(from).map((one) => one * 0.2)
  }
  const tensors = Object.fromEntries([
    ['token_embd.weight', rows(tokens.length, width, embedding)],
    ['output_norm.weight', norm()],
    ['output.weight', rows(tokens.length, width, output)],
    ...Array.from({ length: layers }, (_, at) => layer(at)).flat(),
  ])
  writeFileSync(file, gguf(head, tensors))
}
