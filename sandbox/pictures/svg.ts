import type { Line, Run } from './terminal.ts'

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The 16 colours of a terminal, on this ground. */
const palette =
  '#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4 #6e7681 #ffa198 #56d364 #e3b341 #79c0ff #d2a8ff #56d4dd #ffffff'.split(
    ' ',
  )
const paper = { ground: '#0d1117', edge: '#30363d', ink: '#e6edf3', faint: '#8b949e' }
const size = { letter: 8.4, line: 19, margin: 16, bar: 34 }

function span({ text, bold, dim, colour }: Run): string {
  const fill = dim ? paper.faint : colour === undefined ? undefined : palette[colour]
  const look = `${fill ? ` fill="${fill}"` : ''}${bold ? ' font-weight="bold"' : ''}`
  return look ? `<tspan${look}>${escaped(text)}</tspan>` : escaped(text)
}

/** A terminal's window with these lines, as a picture; the title is what was typed. */
export function terminalSvg(title: string, lines: Line[], columns = 80): string {
  const width = Math.ceil(columns * size.letter + 2 * size.margin)
  const height = size.bar + lines.length * size.line + 2 * size.margin - 6
  const rows = lines.map(
    (line, at) =>
      `<text x="${size.margin}" y="${size.bar + size.margin + 8 + at * size.line}" xml:space="preserve">${line.map(span).join('')}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<rect width="${width}" height="${height}" rx="8" fill="${paper.ground}" stroke="${paper.edge}"/>
<g fill="${paper.edge}"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/><circle cx="56" cy="18" r="5"/></g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${paper.ink}">
<text x="76" y="23" fill="${paper.faint}">${escaped(title)}</text>
${rows.join('\n')}
</g>
</svg>
`
}
