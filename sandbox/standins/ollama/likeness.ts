import type { Row } from './harness.ts'

/** What may differ between two answers of real servers: the rules under which 432 of 432 recordings agreed thrice. */
const VARIES: [RegExp, string][] = [
  [/"(created|created_at|completed_at)":\d+/g, '"$1":T'],
  [/"(created_at|modified_at|expires_at)":"[^"]*"/g, '"$1":"T"'],
  [/"(\w+_duration)":\d+/g, '"$1":D'],
  [/chatcmpl-\d+/g, 'chatcmpl-N'],
  [/\bcmpl-\d+/g, 'cmpl-N'],
  [/\bfc_(resp_)?\d+_(\d)/g, 'fc_$1N_$2'],
  [/\brs_(resp_)?\d+\b/g, 'rs_$1N'],
  [/\b(resp|msg)_\d{1,6}\b/g, '$1_N'],
  [/msg_[0-9a-f]{24}/g, 'msg_H'],
  [/req_[0-9a-f]{24}/g, 'req_H'],
  [/PARAMETER [^"]*?\\n/g, ''],
  [/"parameters":"(?:[^"\\]|\\.)*"/g, '"parameters":"P"'],
  [/call_[a-z0-9]{8}\b/g, 'call_X'],
  [/"(\/[^"\\ ]*|[^"\\]*?\/)?\.?ollama\/models\/blobs/g, '"P/blobs'],
  [/(FROM |open |model: )\/\S*?\/models\/(blobs|manifests)/g, '$1P/$2'],
  [/"digest":"[0-9a-f]{64}"/g, '"digest":"S"'],
  [/"(size|size_vram)":\d+/g, '"$1":B'],
]

/** Numbers of embeddings and counts of prompts with tools depend on the model file and its template engine. */
const EMBEDDING: [RegExp, string][] = [
  [/-?\d+(\.\d+)?(e-?\d+)?(?=[,\]])(?=[^"]*\])/g, 'E'],
  [/"embedding":"[^"]{40,}"/g, '"embedding":"E"'],
]
const PROMPT_COUNT: [RegExp, string][] = [
  [/"(prompt_eval_count|prompt_tokens|input_tokens|total_tokens)":\d+/g, '"$1":N'],
]

const replaceAll = (text: string, rules: [RegExp, string][]): string =>
  rules.reduce((out, [pattern, by]) => out.replace(pattern, by), text)

/** Models made in the same second come in any order. */
const sortLists = (text: string): string => {
  try {
    const value = JSON.parse(text.replaceAll(':T', ':0').replaceAll(':B', ':0')) as Record<string, unknown>
    for (const key of ['models', 'data']) {
      const rows = value[key]
      if (Array.isArray(rows)) rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
    }
    return JSON.stringify(value)
  } catch {
    return text
  }
}

const isList = (name: string): boolean => /^(api-tags|tags-end|v1-model)/.test(name)
const isEmbedding = (name: string): boolean => /^(embed|v1embed)/.test(name)
const isToolPrompt = (name: string): boolean => /(-tools?(-|$)|two-tools|web-search)/.test(name)

/** An answer with everything taken out that may differ; what is left must be equal. */
export const essence = (name: string, rows: Row[]): unknown => {
  const frame = rows.flatMap((row): unknown[] => {
    if (row.ev === 'head') {
      const headers = row.headers
        ?.filter(([key]) => key !== 'Content-Length')
        .map(([k, v]) => (k === 'Date' ? [k, '*'] : [k, v]))
      return [[row.status, headers, row.headers?.some(([key]) => key === 'Content-Length')]]
    }
    return row.ev === 'end' || row.ev === 'after' ? [[row.ev, row.how, row.where ?? '']] : []
  })
  const text = rows.map((row) => (row.ev === 'chunk' || row.ev === 'body' ? (row.data ?? row.b64 ?? '') : '')).join('')
  const more = [...(isEmbedding(name) ? EMBEDDING : []), ...(isToolPrompt(name) ? PROMPT_COUNT : [])]
  const body = replaceAll(replaceAll(text, VARIES), more)
  return { frame, body: isList(name) ? sortLists(body) : body }
}

/** How many chunks an answer came in: one per token, give or take one. */
export const chunkCount = (rows: Row[]): number => rows.filter((row) => row.ev === 'chunk').length
