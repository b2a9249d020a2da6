import { bodyPattern } from '../../../lib/gateway/policies/models.ts'

function changed(from: string | RegExp, to: string): string {
  const pattern = bodyPattern.replace(from, to)
  if (pattern === bodyPattern) throw new Error(`the pattern has no ${from}`)
  return pattern
}

/** The look ahead for another spelling of model, with the text before it, to tell one place from the other. */
const look = String.raw`\(\?!"(?:\(\?i:[^)]*\)){5}"\)`

/** Patterns that forget one thing each: the vectors must notice every one of them. */
export const weakened: Record<string, string> = {
  'a second model before': changed(new RegExp(`\\(\\?:${look}`), '(?:'),
  'a second model behind': changed(new RegExp(`\\(\\?:,\\\\s\\*\\+${look}`), '(?:,\\s*+'),
  'capital letters': changed(/\(\?i:/g, '(?:'),
  'escapes of small letters': changed(/\[46\]/g, '4'),
  'escapes of capital letters': changed(/\[46\]/g, '6'),
  ...Object.fromEntries(
    ['m|\\\\u00[46]d', 'o|\\\\u00[46]f', 'd|\\\\u00[46]4', 'e|\\\\u00[46]5', 'l|\\\\u00[46]c'].map((letter) => [
      `escapes of ${letter.slice(0, 1)}`,
      bodyPattern.replaceAll(`(?i:${letter})`, `(?i:${letter.slice(0, 1)})`),
    ]),
  ),
  'everything: any body passes': '(?s).*',
}
