import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ModelName, parseName, shortName } from './names.ts'
import type { NewModel } from './store.ts'
import { TEMPLATES } from './templates.ts'
import type { Kind } from './voices.ts'

/** A model that can be pulled. `bytes` is the size that lists and the progress show; files on disk are small. */
export interface Entry {
  bytes: number
  kind: Kind
  parameter_size: string
  family: string
  quantization?: string
  context?: number
}

const entry = (gigabytes: number, kind: Kind, parameter_size: string, family: string, context = 32768): Entry => ({
  bytes: Math.round(gigabytes * 1e9),
  kind,
  parameter_size,
  family,
  quantization: 'Q4_K_M',
  context,
})

/** Sizes and families as the public library lists them. */
const DEFAULTS: Record<string, Entry> = {
  'qwen2.5:0.5b': entry(0.397821, 'tools', '494.03M', 'qwen2'),
  'qwen3:0.6b': entry(0.522653, 'tools', '751.63M', 'qwen3', 40960),
  'qwen3:8b': entry(5.225388, 'tools', '8.2B', 'qwen3', 40960),
  'qwen2.5-coder:7b': entry(4.683087, 'tools', '7.6B', 'qwen2'),
  'qwen2.5-coder:14b': entry(8.988124, 'tools', '14.8B', 'qwen2'),
  'qwen2.5-coder:32b': entry(19.851349, 'tools', '32.8B', 'qwen2'),
  'qwen3-coder:30b': entry(18.556701, 'tools', '30.5B', 'qwen3moe', 262144),
  'deepseek-coder:6.7b': entry(3.827834, 'plain', '7B', 'llama', 16384),
  'deepseek-r1:70b': entry(42.520412, 'think', '70.6B', 'llama', 131072),
  'llama3:latest': entry(4.661224, 'plain', '8.0B', 'llama', 8192),
  'llama3.2:1b': entry(1.321098, 'tools', '1.2B', 'llama', 131072),
  'nomic-embed-text:latest': entry(0.274302, 'embed', '137M', 'nomic-bert', 2048),
  'all-minilm:latest': entry(0.045949, 'embed', '23M', 'bert', 512),
}

const TINY_GGUF = 'sha256:c916b539ff2174ae332f5e87dda85589bfcd0762b4a57bbbc9b3bc1545a20db6'
const EMBED_GGUF = 'sha256:34268a020217df0db4cbb078928223130d85e10a42ecdec1425b3cc20d9b9b77'

/** The toy models of the recorded transcripts. */
export const TOYS: Record<string, Kind> = {
  tiny: 'plain',
  'tiny-loop': 'loop',
  'tiny-json': 'json',
  'tiny-tools': 'tools',
  'tiny-twotools': 'twotools',
  'tiny-think': 'think',
  'tiny-fim': 'insert',
  'tiny-embed': 'embed',
}
for (const [name, kind] of Object.entries(TOYS)) {
  const embed = kind === 'embed'
  DEFAULTS[`${name}:latest`] = {
    bytes: embed ? 161_000 : 1_693_000,
    kind,
    parameter_size: embed ? '39K' : '841K',
    family: embed ? 'bert' : 'llama',
    quantization: embed ? 'unknown' : 'F16',
    context: embed ? 512 : 32768,
  }
}

export const isToyWeights = (digest: string): boolean => digest === TINY_GGUF || digest === EMBED_GGUF

const isToy = (name: ModelName): boolean => name.namespace === 'library' && name.model in TOYS && name.tag === 'latest'

/** What `pull` finds in a box: the defaults and what `<box>/ollama-registry.json` adds or replaces. */
export const registryOf = (box: string): Map<string, Entry> => {
  const rows = new Map(Object.entries(DEFAULTS))
  try {
    const own = JSON.parse(readFileSync(join(box, 'ollama-registry.json'), 'utf8')) as Record<string, Partial<Entry>>
    for (const [written, fields] of Object.entries(own)) {
      const name = parseName(written)
      const usual: Entry = {
        bytes: 400_000_000,
        kind: kindFor(written),
        parameter_size: '1B',
        family: 'llama',
        context: 32768,
      }
      if (name) rows.set(shortName(name), { ...usual, ...fields })
    }
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause
  }
  return rows
}

const kindFor = (name: string): Kind => (name.startsWith('qwen') ? 'tools' : 'plain')

/** The files that stand for a model: weights are a few kilobytes whose text depends only on the name. */
export const modelFor = (name: ModelName, row: Entry): NewModel => {
  const toy = isToy(name)
  const embed = row.kind === 'embed'
  const content = `GGUF stand-in for ${shortName(name)}\n`.padEnd(4096, '.')
  const toyTools = toy && row.kind === 'tools'
  return {
    config: {
      model_format: 'gguf',
      model_family: row.family,
      model_families: [row.family],
      model_type: row.parameter_size,
      file_type: row.quantization ?? 'Q4_K_M',
    },
    weights: {
      ...(toy ? { digest: embed ? EMBED_GGUF : TINY_GGUF } : {}),
      size: row.bytes,
      content: toy ? `GGUF toy ${embed ? 'embed' : 'tiny'}\n` : content,
    },
    ...(row.kind === 'embed' ? {} : { template: TEMPLATES[row.kind] }),
    parameters: {
      ...(embed ? {} : { stop: ['<|im_end|>'] }),
      ...(toy ? { num_thread: 1 } : {}),
      ...(toyTools ? { temperature: 0 } : {}),
    },
    ...(toyTools ? { system: 'You are tiny.', license: 'CC0-1.0' } : {}),
    ...(!toy ? { license: 'Apache License 2.0' } : {}),
  }
}
