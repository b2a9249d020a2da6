import { isToyWeights } from './registry.ts'
import type { Fields } from './shape.ts'
import type { Model } from './store.ts'

interface Tensor {
  name: string
  type: string
  shape: number[]
}
const tensor = (name: string, type: string, ...shape: number[]): Tensor => ({ name, type, shape })

/** Tensors of the toy chat model: two layers of 256. */
const llamaTensors = (): Tensor[] => [
  tensor('token_embd.weight', 'F16', 256, 424),
  tensor('output_norm.weight', 'F32', 256),
  tensor('output.weight', 'F16', 256, 424),
  ...[0, 1].flatMap((layer) => [
    tensor(`blk.${layer}.attn_norm.weight`, 'F32', 256),
    tensor(`blk.${layer}.ffn_norm.weight`, 'F32', 256),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((n) => tensor(`blk.${layer}.${n}.weight`, 'F16', 256, 256)),
    tensor(`blk.${layer}.ffn_gate.weight`, 'F16', 256, 64),
    tensor(`blk.${layer}.ffn_up.weight`, 'F16', 256, 64),
    tensor(`blk.${layer}.ffn_down.weight`, 'F16', 64, 256),
  ]),
]

/** Tensors of the toy embedding model: two layers of 32. */
const bertTensors = (): Tensor[] => {
  const pair = (name: string, ...shape: number[]) => [
    tensor(`${name}.weight`, 'F32', ...shape),
    tensor(`${name}.bias`, 'F32', shape.at(-1) ?? 0),
  ]
  return [
    tensor('token_embd.weight', 'F32', 32, 171),
    tensor('token_types.weight', 'F32', 32, 2),
    tensor('position_embd.weight', 'F32', 32, 512),
    ...pair('token_embd_norm', 32),
    ...[0, 1].flatMap((layer) => [
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].flatMap((n) => pair(`blk.${layer}.${n}`, 32, 32)),
      ...['attn_output_norm', 'layer_output_norm'].flatMap((n) => pair(`blk.${layer}.${n}`, 32)),
      ...pair(`blk.${layer}.ffn_up`, 32, 64),
      ...pair(`blk.${layer}.ffn_down`, 64, 32),
    ]),
  ]
}

const LLAMA_INFO: Fields = {
  'general.architecture': 'llama',
  'general.description': 'deterministic toy model for protocol tests',
  'general.file_type': 1,
  'general.license': 'CC0-1.0',
  'general.parameter_count': 840960,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 4,
  'llama.attention.layer_norm_rms_epsilon': 0.00001,
  'llama.block_count': 2,
  'llama.context_length': 32768,
  'llama.embedding_length': 256,
  'llama.feed_forward_length': 64,
  'llama.rope.dimension_count': 64,
  'llama.rope.freq_base': 10000,
  'llama.vocab_size': 424,
  'tokenizer.ggml.add_bos_token': false,
  'tokenizer.ggml.bos_token_id': 0,
  'tokenizer.ggml.eos_token_id': 2,
  'tokenizer.ggml.merges': null,
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'default',
  'tokenizer.ggml.token_type': null,
  'tokenizer.ggml.tokens': null,
}

const BERT_INFO: Fields = {
  'bert.attention.causal': false,
  'bert.attention.head_count': 4,
  'bert.attention.layer_norm_epsilon': 1e-12,
  'bert.block_count': 2,
  'bert.context_length': 512,
  'bert.embedding_length': 32,
  'bert.feed_forward_length': 64,
  'bert.pooling_type': 1,
  'bert.vocab_size': 171,
  'general.architecture': 'bert',
  'general.file_type': 0,
  'general.parameter_count': 39072,
  'tokenizer.ggml.bos_token_id': 2,
  'tokenizer.ggml.cls_token_id': 2,
  'tokenizer.ggml.eos_token_id': 3,
  'tokenizer.ggml.mask_token_id': 4,
  'tokenizer.ggml.model': 'bert',
  'tokenizer.ggml.padding_token_id': 0,
  'tokenizer.ggml.pre': 'default',
  'tokenizer.ggml.seperator_token_id': 3,
  'tokenizer.ggml.token_type': null,
  'tokenizer.ggml.token_type_count': 2,
  'tokenizer.ggml.tokens': null,
  'tokenizer.ggml.unknown_token_id': 1,
}

const SCALE: Record<string, number> = { K: 1e3, M: 1e6, B: 1e9 }
const parameterCount = (size: string): number => Math.round(Number.parseFloat(size) * (SCALE[size.slice(-1)] ?? 1))

const ordinaryInfo = (model: Model, context: number): Fields => {
  const family = model.config.model_family
  return {
    'general.architecture': family,
    'general.file_type': 15,
    'general.parameter_count': parameterCount(model.config.model_type),
    'general.quantization_version': 2,
    [`${family}.attention.head_count`]: 32,
    [`${family}.attention.head_count_kv`]: 8,
    [`${family}.block_count`]: 28,
    [`${family}.context_length`]: context,
    [`${family}.embedding_length`]: family.endsWith('bert') ? 384 : 4096,
    [`${family}.feed_forward_length`]: 12288,
    'tokenizer.ggml.merges': null,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.token_type': null,
    'tokenizer.ggml.tokens': null,
  }
}

/** `model_info` and `tensors` of /api/show. */
export const modelInfo = (model: Model, context: number): { info: Fields; tensors: Tensor[] } => {
  const bert = model.config.model_family === 'bert'
  if (isToyWeights(model.weights))
    return bert ? { info: BERT_INFO, tensors: bertTensors() } : { info: LLAMA_INFO, tensors: llamaTensors() }
  return { info: ordinaryInfo(model, context), tensors: [tensor('token_embd.weight', 'Q4_K', 4096, 151936)] }
}

/** Width of a model's embeddings. */
export const embeddingLength = (model: Model): number => {
  const bert = model.config.model_family.endsWith('bert')
  if (isToyWeights(model.weights)) return bert ? 32 : 256
  return bert ? 384 : 4096
}
