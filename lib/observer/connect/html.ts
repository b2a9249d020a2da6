/** Text that is HTML already. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Value = string | number | Html | Html[]

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (letter) => entities[letter] ?? letter)

function written(value: Value): string {
  if (value instanceof Html) return value.text
  return Array.isArray(value) ? value.map(written).join('') : escaped(`${value}`)
}

/** HTML with values in it; whatever is not HTML already is escaped, in a text and in a quoted attribute alike. */
export const html = (parts: TemplateStringsArray, ...values: Value[]): Html =>
  new Html(parts.map((part, at) => `${part}${at < values.length ? written(values[at] ?? '') : ''}`).join(''))

export const nothing = new Html('')
