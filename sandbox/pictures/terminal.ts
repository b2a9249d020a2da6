import headless, { type IBufferCell, type Terminal } from '@xterm/headless'

/** Letters of one look side by side. */
export interface Run {
  text: string
  bold: boolean
  dim: boolean
  /** one of the 16 colours of a terminal; its own where undefined */
  colour?: number
}

/** A line of a screen as a terminal shows it. */
export type Line = Run[]

const lookOf = (cell: IBufferCell): Omit<Run, 'text'> => ({
  bold: cell.isBold() !== 0,
  dim: cell.isDim() !== 0,
  ...(cell.isFgPalette() ? { colour: cell.getFgColor() % 16 } : {}),
})

const alike = (one: Run, other: Omit<Run, 'text'>): boolean =>
  one.bold === other.bold && one.dim === other.dim && one.colour === other.colour

function lineAt(terminal: Terminal, y: number): Line {
  const row = terminal.buffer.normal.getLine(y)
  const runs: Line = []
  for (let x = 0; x < terminal.cols; x += 1) {
    const cell = row?.getCell(x)
    if (!cell) continue
    const last = runs.at(-1)
    const look = lookOf(cell)
    const text = cell.getChars() || ' '
    if (last && alike(last, look)) last.text += text
    else runs.push({ text, ...look })
  }
  const end = runs.at(-1)
  if (end) end.text = end.text.trimEnd()
  return runs
}

export const textOf = (lines: Line[]): string =>
  lines
    .map((line) =>
      line
        .map(({ text }) => text)
        .join('')
        .trimEnd(),
    )
    .join('\n')

/** Everything that a terminal so wide has shown when all of this was written to it, also what has scrolled away. */
export async function shown(text: string, columns = 80): Promise<Line[]> {
  const terminal = new headless.Terminal({ cols: columns, rows: 24, scrollback: 10_000, allowProposedApi: true })
  await new Promise<void>((resolve) => terminal.write(text, resolve))
  const lines = Array.from({ length: terminal.buffer.normal.length }, (_, y) => lineAt(terminal, y))
  terminal.dispose()
  const isEmpty = (line: Line | undefined) => line !== undefined && textOf([line]) === ''
  while (isEmpty(lines.at(-1))) lines.pop()
  while (isEmpty(lines[0])) lines.shift()
  return lines
}
