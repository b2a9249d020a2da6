import { type Colours, schemes } from './drawing.ts'

/** The drawings of single pages as data: what is where, by which port it is asked, and who may. */

interface Box {
  x: number
  y: number
  width: number
  title: string
  below: string[]
}

/** A line with a point at its end, from one box to another; words beside its middle. */
interface Arrow {
  from: string
  to: string
  words?: string[]
  /** points at both ends */
  both?: true
  /** where along the line its words stand; 0.5 unless told */
  at?: number
}

interface Diagram {
  /** what it shows, in a sentence, for who does not see it */
  says: string
  height: number
  /** machines and networks around boxes */
  frames: { x: number; y: number; width: number; height: number; title: string }[]
  boxes: Record<string, Box>
  arrows: Arrow[]
}

const width = 830
const fonts = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

/** By the name of the page under docs/. */
const diagrams: Record<string, Diagram> = {
  ha: {
    says: 'Clients ask one address, which one of two gateways has; both ask the same nodes and tell each other what they counted.',
    height: 300,
    frames: [{ x: 255, y: 14, width: 272, height: 272, title: '192.168.1.100, at one of the two' }],
    boxes: {
      clients: { x: 10, y: 104, width: 130, title: 'clients', below: ['know one address,', 'the VIP'] },
      first: {
        x: 285,
        y: 46,
        width: 200,
        title: 'gateway, priority 150',
        below: ['192.168.1.2', 'HAProxy and Keepalived'],
      },
      second: {
        x: 285,
        y: 192,
        width: 200,
        title: 'gateway, priority 140',
        below: ['192.168.1.3', 'HAProxy and Keepalived'],
      },
      one: { x: 660, y: 46, width: 160, title: 'node', below: ['an engine,', 'port 11434'] },
      two: { x: 660, y: 192, width: 160, title: 'node', below: ['an engine,', 'port 11434'] },
    },
    arrows: [
      { from: 'clients', to: 'first', words: ['port of the', 'listener'] },
      { from: 'first', to: 'second', both: true, words: ['VRRP: who has it;', 'TCP 11438: counts'] },
      { from: 'first', to: 'one' },
      { from: 'first', to: 'two' },
      { from: 'second', to: 'one' },
      { from: 'second', to: 'two' },
    ],
  },
  services: {
    says: 'Browsers and programs reach services by https through the gateway, each by its name; a page has its own login, a program shows a key.',
    height: 330,
    frames: [
      { x: 268, y: 14, width: 212, height: 300, title: 'the gateway’s machine' },
      { x: 610, y: 14, width: 212, height: 200, title: 'ui.example.net' },
    ],
    boxes: {
      browser: { x: 10, y: 56, width: 150, title: 'a browser', below: ['chat.example.net', 'and the page’s login'] },
      program: { x: 10, y: 200, width: 150, title: 'a program', below: ['openai.example.net', 'and a key of ours'] },
      gateway: {
        x: 288,
        y: 90,
        width: 172,
        title: 'HAProxy',
        below: ['by name and port', 'to one service;', 'only what its kind opens'],
      },
      engine: { x: 288, y: 226, width: 172, title: 'Ollama', below: ['on this machine only'] },
      page: { x: 640, y: 46, width: 152, title: 'Open WebUI', below: ['port 8080'] },
      api: { x: 640, y: 136, width: 152, title: 'LiteLLM', below: ['port 4000, its own key'] },
      closed: { x: 610, y: 236, width: 212, title: 'vLLM, Qdrant', below: ['8000, 6333; never for', 'the internet'] },
    },
    arrows: [
      { from: 'browser', to: 'gateway', words: ['https'] },
      { from: 'program', to: 'gateway', words: ['https'] },
      { from: 'gateway', to: 'page' },
      { from: 'gateway', to: 'api' },
      { from: 'gateway', to: 'closed', words: ['lan, tailnet'], at: 0.62 },
      { from: 'gateway', to: 'engine' },
    ],
  },
  sso: {
    says: 'A browser signs in at a provider of logins, for a page that asks it itself or for oauth2-proxy in front of a page; programs show keys.',
    height: 330,
    frames: [{ x: 590, y: 14, width: 232, height: 300, title: 'behind the gateway' }],
    boxes: {
      browser: { x: 10, y: 60, width: 150, title: 'a browser', below: ['has a session,', 'or is sent to sign in'] },
      program: { x: 10, y: 226, width: 150, title: 'a program', below: ['a key; 401 without'] },
      provider: { x: 300, y: 16, width: 180, title: 'provider of logins', below: ['id.example.net'] },
      gateway: { x: 300, y: 132, width: 180, title: 'gateway', below: ['signs nobody in;', 'takes made-up names off'] },
      page: { x: 620, y: 46, width: 172, title: 'Open WebUI', below: ['its own sign-on'] },
      proxy: { x: 620, y: 138, width: 172, title: 'oauth2-proxy', below: ['127.0.0.1:4180'] },
      notes: { x: 620, y: 236, width: 172, title: 'a page', below: ['127.0.0.1:8080,', 'no login of its own'] },
      api: { x: 300, y: 250, width: 180, title: 'engines, LiteLLM', below: ['no login: keys'] },
    },
    arrows: [
      { from: 'browser', to: 'provider', words: ['signs in'] },
      { from: 'browser', to: 'gateway', words: ['https'] },
      { from: 'program', to: 'gateway', words: ['https'] },
      { from: 'gateway', to: 'page' },
      { from: 'gateway', to: 'proxy' },
      { from: 'gateway', to: 'api' },
      { from: 'page', to: 'provider', words: ['is it them?'] },
      { from: 'proxy', to: 'provider' },
      { from: 'proxy', to: 'notes' },
    ],
  },
  containers: {
    says: 'Clients reach the published port with a key; the container asks engines on other machines; its settings and logs lie beside compose.yaml.',
    height: 320,
    frames: [{ x: 235, y: 14, width: 370, height: 292, title: 'a machine with Docker' }],
    boxes: {
      clients: { x: 10, y: 70, width: 140, title: 'clients', below: ['whoever reaches it', 'is asked for a key'] },
      gateway: {
        x: 300,
        y: 70,
        width: 240,
        title: 'ai-gateway',
        below: ['HAProxy and observer, user 10001,', 'no rights, reads its image only'],
      },
      config: { x: 255, y: 222, width: 100, title: './config', below: ['keys, servers:', 'read only'] },
      logs: { x: 370, y: 222, width: 100, title: './logs', below: ['each request,', 'no keys'] },
      state: { x: 485, y: 222, width: 100, title: 'a volume', below: ['made keys,', 'counts'] },
      one: { x: 664, y: 46, width: 156, title: 'engine', below: ['192.168.1.101:11434'] },
      two: { x: 664, y: 150, width: 156, title: 'engine', below: ['192.168.1.102:11434'] },
    },
    arrows: [
      { from: 'clients', to: 'gateway', words: ['127.0.0.1:8080', 'or LISTEN'] },
      { from: 'gateway', to: 'one' },
      { from: 'gateway', to: 'two' },
      { from: 'config', to: 'gateway' },
      { from: 'gateway', to: 'logs' },
      { from: 'gateway', to: 'state', both: true },
    ],
  },
}

const heightOf = ({ below }: Box): number => 40 + below.length * 17

function boxOf({ ink, faint, box: fill }: Colours, box: Box): string {
  const middle = box.x + box.width / 2
  const words = box.below.map(
    (text, row) => `<text x="${middle}" y="${box.y + 44 + row * 17}" font-size="12.5" fill="${faint}">${text}</text>`,
  )
  return `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${heightOf(box)}" rx="8" fill="${fill}" stroke="${faint}" stroke-width="1.5"/>
<text x="${middle}" y="${box.y + 24}" font-size="15" font-weight="600" fill="${ink}">${box.title}</text>
${words.join('\n')}`
}

type Point = { x: number; y: number }

/** Where a line leaves one box and meets the other: at sides that face each other, or above and below. */
function ends(from: Box, to: Box): [Point, Point] {
  const side = (box: Box, right: boolean): Point => ({
    x: right ? box.x + box.width : box.x,
    y: box.y + heightOf(box) / 2,
  })
  if (from.x + from.width <= to.x - 20) return [side(from, true), side(to, false)]
  if (to.x + to.width <= from.x - 20) return [side(from, false), side(to, true)]
  const down = from.y < to.y
  const left = Math.max(from.x, to.x)
  const x = (left + Math.min(from.x + from.width, to.x + to.width)) / 2
  const edge = (box: Box, bottom: boolean): Point => ({ x, y: bottom ? box.y + heightOf(box) : box.y })
  return [edge(from, down), edge(to, !down)]
}

/** The point of a line that comes from elsewhere and ends here. */
function head(at: Point, from: Point): string {
  const angle = Math.atan2(at.y - from.y, at.x - from.x)
  const corner = (turn: number) => {
    const [x, y] = [at.x - 9 * Math.cos(angle + turn), at.y - 9 * Math.sin(angle + turn)]
    return `${x.toFixed(1)} ${y.toFixed(1)}`
  }
  return `M${corner(0.5)}L${at.x} ${at.y}L${corner(-0.5)}`
}

function arrowOf({ faint }: Colours, box: (name: string) => Box, arrow: Arrow): string {
  const [from, to] = ends(box(arrow.from), box(arrow.to))
  const line = `M${from.x} ${from.y}L${to.x} ${to.y}${head(to, from)}${arrow.both ? head(from, to) : ''}`
  const upright = Math.abs(from.x - to.x) < 2
  const along = arrow.at ?? 0.5
  const middle = { x: from.x + (to.x - from.x) * along, y: from.y + (to.y - from.y) * along }
  const all = arrow.words ?? []
  // Of a slanted line they stand clear by as much as it rises under half of them; a letter is about 6 wide.
  const lift = upright
    ? 0
    : Math.abs((to.y - from.y) / (to.x - from.x)) * Math.max(0, ...all.map((one) => one.length)) * 3
  const first = upright ? middle.y + 4 - (all.length - 1) * 8 : middle.y - 7 - lift - (all.length - 1) * 15
  const words = all.map(
    (text, row) =>
      `<text x="${middle.x + (upright ? 8 : 0)}" y="${first + row * 15}" font-size="12" ${upright ? 'text-anchor="start" ' : ''}fill="${faint}">${text}</text>`,
  )
  return [`<path d="${line}" fill="none" stroke="${faint}" stroke-width="1.5"/>`, ...words].join('\n')
}

function svg({ says, height, frames, boxes, arrows }: Diagram, colours: Colours): string {
  const box = (name: string): Box => boxes[name] ?? { x: 0, y: 0, width: 0, title: '', below: [] }
  const around = frames.map(
    (
      one,
    ) => `<rect x="${one.x}" y="${one.y}" width="${one.width}" height="${one.height}" rx="10" fill="none" stroke="${colours.edge}" stroke-dasharray="5 4"/>
<text x="${one.x + one.width / 2}" y="${one.y + 20}" font-size="13" fill="${colours.faint}">${one.title}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${says}">
<g font-family="${fonts}" text-anchor="middle">
${[...around, ...arrows.map((arrow) => arrowOf(colours, box, arrow)), ...Object.values(boxes).map((one) => boxOf(colours, one))].join('\n')}
</g>
</svg>
`
}

/** Every drawing of a page by its file's name: NAME-light.svg and NAME-dark.svg. */
export const drawings = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(diagrams).flatMap(([name, diagram]) =>
      (['light', 'dark'] as const).map((scheme) => [`${name}-${scheme}.svg`, svg(diagram, schemes[scheme])]),
    ),
  )
