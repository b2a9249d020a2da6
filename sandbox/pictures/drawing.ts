/** The drawing of the README: who speaks with whom, and what each of them decides. */

/** The colours of a drawing on one kind of page. */
export interface Colours {
  ink: string
  faint: string
  box: string
  edge: string
  lines: string[]
}

/** On a light page and on a dark one. */
export const schemes: Record<'light' | 'dark', Colours> = {
  light: {
    ink: '#1f2328',
    faint: '#59636e',
    box: '#f6f8fa',
    edge: '#d1d9e0',
    lines: ['#0969da', '#8250df', '#1a7f37'],
  },
  dark: { ink: '#e6edf3', faint: '#9198a1', box: '#151b23', edge: '#3d444d', lines: ['#4493f8', '#ab7df8', '#3fb950'] },
}

const boxes = [
  { x: 10, width: 150, title: 'your laptop', below: ['Claude Code, Codex,', 'an editor, a browser'] },
  { x: 235, width: 150, title: 'Tailscale', below: ['who can reach it:', 'your devices only'] },
  { x: 445, width: 150, title: 'HAProxy', below: ['what they may ask,', 'how much, as whom'] },
  { x: 655, width: 150, title: 'Ollama', below: ['answers, on this', 'Mac only'] },
]
const top = 62
const height = 92

const box = ({ ink, faint, box: fill, lines }: Colours, at: number): string => {
  const { x, width, title, below } = boxes[at] ?? { x: 0, width: 0, title: '', below: [] }
  const middle = x + width / 2
  const words = below.map(
    (text, row) => `<text x="${middle}" y="${top + 52 + row * 18}" font-size="13" fill="${faint}">${text}</text>`,
  )
  return `<rect x="${x}" y="${top}" width="${width}" height="${height}" rx="8" fill="${fill}" stroke="${at === 0 ? faint : lines[at - 1]}" stroke-width="1.5"/>
<text x="${middle}" y="${top + 29}" font-size="16" font-weight="600" fill="${ink}">${title}</text>
${words.join('\n')}`
}

const arrow = ({ faint }: Colours, at: number): string => {
  const from = (boxes[at]?.x ?? 0) + (boxes[at]?.width ?? 0) + 4
  const to = (boxes[at + 1]?.x ?? 0) - 5
  const y = top + height / 2
  return `<path d="M${from} ${y}H${to}M${to - 7} ${y - 5}l7 5l-7 5" fill="none" stroke="${faint}" stroke-width="1.5"/>`
}

/** laptop → Tailscale → HAProxy → Ollama, as SVG for a light or a dark page. */
export function drawing(scheme: 'light' | 'dark'): string {
  const colours = schemes[scheme]
  const words = 'A laptop reaches a Mac over Tailscale; HAProxy there lets through what is allowed; Ollama answers.'
  return `<svg xmlns="http://www.w3.org/2000/svg" width="830" height="190" viewBox="0 0 830 190" role="img" aria-label="${words}">
<rect x="210" y="12" width="612" height="166" rx="10" fill="none" stroke="${colours.edge}" stroke-dasharray="5 4"/>
<g font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" text-anchor="middle">
<text x="516" y="38" font-size="14" fill="${colours.faint}">your Mac with Apple silicon</text>
${boxes.map((_, at) => box(colours, at)).join('\n')}
${boxes
  .slice(1)
  .map((_, at) => arrow(colours, at))
  .join('\n')}
</g>
</svg>
`
}
