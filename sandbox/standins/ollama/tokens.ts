const CONTROL = [
  '<|bos|>',
  '<|im_start|>',
  '<|im_end|>',
  '<|story|>',
  '<|loop|>',
  '<|tool|>',
  '<|twotools|>',
  '<|think|>',
  '<|json|>',
  '<|fim_prefix|>',
  '<|fim_suffix|>',
  '<|fim_middle|>',
]
const FIRST_BYTE = CONTROL.length
const FIRST_MERGE = FIRST_BYTE + 256
/** The toy vocabulary's five merges, in order of rank. */
const MERGES = ['he', 'th', 'in', ' a', 'er']

/** Token numbers of bytes follow GPT-2's printable order only for show: the toy vocabulary counts bytes upwards. */
const byteToken = (byte: number): number => FIRST_BYTE + byte

const mergeRank = (a: number, b: number): number =>
  MERGES.findIndex((pair) => byteToken(pair.charCodeAt(0)) === a && byteToken(pair.charCodeAt(1)) === b)

const mergeOnce = (ids: number[]): boolean => {
  let best = MERGES.length
  for (let i = 0; i + 1 < ids.length; i++) {
    const rank = mergeRank(ids[i] ?? 0, ids[i + 1] ?? 0)
    if (rank >= 0 && rank < best) best = rank
  }
  if (best === MERGES.length) return false
  for (let i = 0; i + 1 < ids.length; i++) {
    if (mergeRank(ids[i] ?? 0, ids[i + 1] ?? 0) === best) ids.splice(i, 2, FIRST_MERGE + best)
  }
  return true
}

/** The word pieces that llama.cpp's default pre-tokenizer makes, near enough for five merges. */
const WORDS = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** Token numbers of a text in the vocabulary of the toy models. */
export const tokenize = (text: string): number[] => {
  const out: number[] = []
  for (const part of text.split(/(<\|[a-z_]+\|>)/)) {
    const control = CONTROL.indexOf(part)
    if (control >= 0) out.push(control)
    else for (const word of part.match(WORDS) ?? []) out.push(...wordTokens(word))
  }
  return out
}

const wordTokens = (word: string): number[] => {
  const ids = [...Buffer.from(word, 'utf8')].map(byteToken)
  if (ids.length > 400) return ids
  while (mergeOnce(ids));
  return ids
}
