import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { endpointTable } from '../../lib/site/endpoints.ts'
import { filled } from './blocks.ts'
import { drawings } from './diagrams.ts'
import { drawing } from './drawing.ts'
import { asciicast } from './recording.ts'
import { type FirstHour, firstHour, folder, newMac, type Scene } from './scenes.ts'
import { terminalSvg } from './svg.ts'
import { textOf } from './terminal.ts'

/** `npm run pictures`: makes docs/pictures/ and docs/install.cast anew, from a first hour in the box, and brings the pages that show them up to date. */
const say = (text: string) => process.stdout.write(`${text}\n`)

function put(file: string, text: string): void {
  writeFileSync(file, text)
  say(`${file}  ${Buffer.byteLength(text)} bytes`)
}

/** What people look at most: these scenes as pictures, from the line that begins so. */
const pictured: Record<string, RegExp> = { install: /^Ready:/, status: /^/, watch: /^/, report: /^/ }

function draw(name: string, { typed, lines }: Scene): void {
  const begins = pictured[name]
  if (!begins) return
  const first = Math.max(
    0,
    lines.findIndex((line) => begins.test(textOf([line]))),
  )
  put(`${folder}/${name}.svg`, terminalSvg(typed, lines.slice(first)))
}

/** What stands between the marks in docs/install.md. */
const told = ({ questions, lines, others, blank, seconds }: FirstHour['watch']): string =>
  `${questions} questions, each answered by Enter. ${lines} lines on a terminal of 80 columns, with what was typed and the answer; ${others} of them are
Homebrew's and Tailscale's, ${blank} are blank. ${seconds} seconds in the box, where nothing has to be downloaded.`

/** The pages that show something recorded, or the table of endpoints, with what is so now. */
function fill(watch: FirstHour['watch']): void {
  const pages = [
    'README.md',
    ...readdirSync('docs')
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ]
  for (const page of pages) {
    const before = readFileSync(page, 'utf8')
    const table = /^\| group \| rows \|[\s\S]*?\n(?=\n)/m
    const marks = /(<!-- stop-watch -->\n)[\s\S]*?(<!-- \/stop-watch -->)/
    const now = filled(before, (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined))
      .replace(marks, (_, start: string, end: string) => `${start}${told(watch)}\n${end}`)
      .replace(table, () => `${endpointTable()}\n`)
    if (now !== before) put(page, now)
  }
}

mkdirSync(folder, { recursive: true })
for (const scheme of ['light', 'dark'] as const) put(`${folder}/way-${scheme}.svg`, drawing(scheme))
for (const [name, text] of Object.entries(drawings())) put(`${folder}/${name}`, text)
const box = await newMac()
try {
  const { scenes, film, watch } = await firstHour(box)
  if (scenes.install?.code !== 0)
    throw new Error(
      `not a green install, which a busy machine may be the reason of:\n${textOf(scenes.install?.lines ?? [])}`,
    )
  for (const [name, scene] of Object.entries(scenes)) {
    put(`${folder}/${name}.txt`, `$ ${scene.typed}\n${textOf(scene.lines)}\n`)
    draw(name, scene)
  }
  put('docs/install.cast', asciicast(film, 'remote-ollama-proxy: from nothing to the first answer'))
  fill(watch)
} finally {
  await box.close()
}
