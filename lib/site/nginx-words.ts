/** A directive as nginx reads one: its words without quotes and escapes, the lines on which it begins and ends (from 1), and what ended it. */
export interface Directive {
  words: string[]
  from: number
  to: number
  end: ';' | '{' | '}' | 'file'
  /** what nginx would not start with */
  fault?: string
}

interface Reading {
  text: string
  at: number
  line: number
}

const blank = /[ \t\r\n]/
const escapes: Record<string, string> = { '"': '"', "'": "'", '\\': '\\', t: '\t', r: '\r', n: '\n' }

/**
 * The directives of a text in nginx's format, by the rules of its reader (src/core/ngx_conf_file.c): quotes of both
 * kinds count at the beginning of a word alone, a backslash keeps the next letter from ending it, `#` begins a
 * comment at the beginning of a word alone, and CR is a blank. What nginx refuses is read on and has a `fault`.
 */
export function nginxDirectives(text: string): Directive[] {
  const reading: Reading = { text: text.replace(/^\uFEFF/, ''), at: 0, line: 1 }
  const found: Directive[] = []
  for (;;) {
    const directive = nextDirective(reading)
    if (directive.end !== 'file' || directive.words.length > 0) found.push(directive)
    if (directive.end === 'file') return found
  }
}

function nextDirective(reading: Reading): Directive {
  skipBlanks(reading)
  const directive: Directive = { words: [], from: reading.line, to: reading.line, end: 'file' }
  while (reading.at < reading.text.length) {
    const letter = reading.text[reading.at] ?? ''
    directive.to = reading.line
    if (letter === ';' || letter === '{' || letter === '}') {
      reading.at += 1
      return ended(directive, letter)
    }
    const { word, fault } = letter === '"' || letter === "'" ? quoted(reading, letter) : plain(reading)
    directive.words.push(word)
    directive.fault ??= fault
    directive.to = reading.line
    skipBlanks(reading)
  }
  return ended(directive, 'file')
}

function ended(directive: Directive, end: Directive['end']): Directive {
  const words = directive.words.length
  const wrong =
    end === 'file' && words > 0
      ? 'it is not ended by ;'
      : end === '}' && words > 0
        ? 'it is not ended by ; before the }'
        : (end === ';' || end === '{') && words === 0
          ? `nothing stands before the ${end}`
          : undefined
  return { ...directive, end, ...((directive.fault ?? wrong) ? { fault: directive.fault ?? wrong } : {}) }
}

function skipBlanks(reading: Reading): void {
  let comment = false
  for (; reading.at < reading.text.length; reading.at += 1) {
    const letter = reading.text[reading.at] ?? ''
    if (letter === '\n') {
      reading.line += 1
      comment = false
    } else if (letter === '#') comment = true
    else if (!comment && !blank.test(letter)) return
  }
}

interface Word {
  word: string
  fault?: string
}

function quoted(reading: Reading, quote: string): Word {
  const from = reading.line
  reading.at += 1
  const word = untilEnd(reading, (letter) => letter === quote)
  const closed = reading.at < reading.text.length
  reading.at += 1
  if (!closed) return { word, fault: `the ${quote} of line ${from} is never closed` }
  const next = reading.text[reading.at] ?? ' '
  return blank.test(next) || ';{)'.includes(next)
    ? { word }
    : { word, fault: `no blank stands after the closing ${quote}` }
}

function plain(reading: Reading): Word {
  let before = ''
  return {
    word: untilEnd(reading, (letter) => {
      const ends = blank.test(letter) || letter === ';' || (letter === '{' && before !== '$')
      before = letter
      return ends
    }),
  }
}

function untilEnd(reading: Reading, ends: (letter: string) => boolean): string {
  let word = ''
  for (; reading.at < reading.text.length; reading.at += 1) {
    const letter = reading.text[reading.at] ?? ''
    if (letter === '\\' && reading.at + 1 < reading.text.length) {
      reading.at += 1
      const next = reading.text[reading.at] ?? ''
      if (next === '\n') reading.line += 1
      word += escapes[next] ?? `\\${next}`
    } else {
      if (ends(letter)) return word
      if (letter === '\n') reading.line += 1
      word += letter
    }
  }
  return word
}
