/** Bytes of a line, its end included: HAProxy takes what is behind them for a line of its own, whatever its buffers are (seen with 2.6.12, 3.2.26, 3.4.7). */
const longestLine = 16_383

/** Whether HAProxy reads this line of a map whole. */
export const fitsLine = (key: string, value: string): boolean => Buffer.byteLength(`${key} ${value}\n`) <= longestLine

/** A map's text, in one order, so that the same keys give the same bytes. Throws when a line is too long for HAProxy. */
export function mapText(lines: Map<string, string>): string {
  for (const [key, value] of lines)
    if (!fitsLine(key, value)) throw new Error(`a line of a map is too long for HAProxy: ${key.slice(0, 80)}`)
  return textOf(lines)
}

const textOf = (lines: Map<string, string>): string =>
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
