/** A map's text, in one order, so that the same keys give the same bytes. */
export const mapText = (lines: Map<string, string>): string =>
  [...lines]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value]) => `${key} ${value}\n`)
    .join('')

/** The lines of a map's text, or of what `show map` answers (each with the entry's address in front). */
export function parseMap(text: string): Map<string, string> {
  const rows = text.split('\n').map((line) => line.replace(/^0x[0-9a-f]+ /, '').trim())
  return new Map(
    rows
      .filter((row) => row && !row.startsWith('#'))
      .map((row) => [row.split(' ')[0] ?? '', row.slice(row.indexOf(' ') + 1)]),
  )
}
