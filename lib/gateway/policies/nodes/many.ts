import { kindOf } from '../../../site/engines.ts'
import type { Node } from '../../../site/nodes.ts'
import { refuse } from '../../refusal.ts'
import { waitForBody } from '../buffers.ts'
import { jsonParts } from '../models.ts'
import { bodyText } from './body-text.ts'

/** Answers to one request, which takes one slot. */
const most = 8
/** By which OpenAI's clients, and llama.cpp's, ask for more than one. */
const words = ['n', 'best_of', 'n_cmpl']
const paths = '/v1/chat/completions /v1/completions'

/** A letter of a JSON key, or its escape. */
const letter = (one: string): string => `(?:${one}|\\\\u(?i:${one.charCodeAt(0).toString(16).padStart(4, '0')}))`
const key = (word: string): string => `"${[...word].map(letter).join('')}"\\s*+:\\s*+`

/** A number other than 0 to 8, and a text that begins like one, which some engines take for it. Anywhere, since of two that have one name an engine takes the last. */
const tooMany = `(?![0-${most}]\\s*+[,}])"?\\s*+[-+]?[0-9]`
/** A list of more prompts than that; of numbers it is one prompt in tokens. */
const element = '(?:"(?:[^"\\\\]++|\\\\.)*+"|\\[[^\\]]*+\\])\\s*+'
const prompts = `${key('prompt')}\\[\\s*+(?:${element},\\s*+){${most}}`

const answers = `(?:${words.map(key).join('|')})${tooMany}`

/** One whole object that asks for no more at its top, whatever stands in what it holds, such as an example of a tool's. */
const pair = `(?!${answers})(?!${prompts})(?&s)\\s*+:\\s*+(?&v)\\s*+`
const few = `(?s)\\A\\s*+\\{\\s*+(?:${pair}(?:,\\s*+${pair})*+)?+\\}\\s*+\\z${jsonParts}`

const takesMany = (nodes: Node[]): boolean => nodes.some(({ engine }) => kindOf(engine).many)

/** Engines that would work on thousands of answers to one request get none that asks for them. */
export const many = {
  refused: (nodes: Node[]): string[] =>
    takesMany(nodes)
      ? [
          // All that HAProxy can hold of it: otherwise it would look as soon as a part is there.
          ...waitForBody('', `inference { path ${paths} }`),
          ...bodyText.kept(`inference { path ${paths} }`),
          refuse({
            status: 400,
            message: `one request may ask for ${most} answers at most (n, best_of, prompt); send more requests.`,
            when: [`{ ${bodyText.is} -m reg -f {{files}}/many.re } !{ ${bodyText.is} -m reg -f {{files}}/few.re }`],
          }),
        ]
      : [],
  files: (nodes: Node[]): Record<string, string> =>
    takesMany(nodes) ? { 'many.re': `(?s)${answers}\n(?s)${prompts}\n`, 'few.re': `${few}\n` } : {},
}
