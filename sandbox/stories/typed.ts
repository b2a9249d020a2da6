import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../box/paths.ts'
import { masked } from '../pictures/masked.ts'

/** A block of a page: what is to be typed (`sh`), to be written (`yaml`), or was printed. */
export interface Shown {
  lang: string
  lines: string[]
}

/** The blocks of a page under docs/, in its order. */
export function shownIn(page: string): Shown[] {
  const text = readFileSync(join(checkout, 'docs', page), 'utf8')
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm)].map(([, lang = '', body = '']) => ({
    lang,
    lines: body.split('\n'),
  }))
}

/** What a line printed, both streams as they came, and how it ended. */
export interface Typed {
  line: string
  code: number
  text: string
}

/** A shell that somebody types into, line by line: a `cd` holds for the next line, too. */
export interface Shell {
  type(line: string): Promise<Typed>
  /** every line of a block in turn; throws with what was printed where one ends with anything but 0 */
  block(block: Shown | undefined): Promise<Typed[]>
  close(): void
}

const mark = 'THE-LINE-HAS-ENDED'

/** Starts a bash. Commands read no terminal: nothing there may ask anything. */
export function startShell(argv: string[], cwd: string, env: NodeJS.ProcessEnv): Shell {
  const [program = 'bash', ...words] = [...argv, 'bash', '--noprofile', '--norc']
  const child = spawn(program, words, { cwd, env, stdio: 'pipe' })
  let text = ''
  let heard = () => {}
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      heard()
    })
  child.on('exit', () => heard())
  child.stdin.write('exec 2>&1\n')
  const shell: Shell = {
    type: (line) =>
      new Promise((resolve, reject) => {
        text = ''
        heard = () => {
          const found = new RegExp(`\\n?${mark} (\\d+)\\n`).exec(text)
          if (found) resolve({ line, code: Number(found[1]), text: text.slice(0, found.index) })
          else if (child.exitCode !== null) reject(new Error(`the shell ended at ${line}: ${text}`))
        }
        child.stdin.write(`{ ${line}\n} < /dev/null\nprintf '\\n%s %s\\n' ${mark} $?\n`)
      }),
    async block(block) {
      const all: Typed[] = []
      for (const line of block?.lines ?? []) {
        const typed = await shell.type(line)
        all.push(typed)
        if (typed.code !== 0) throw new Error(`${line} ended with ${typed.code}:\n${typed.text}`)
      }
      if (all.length === 0) throw new Error('the page has no such block')
      return all
    },
    close: () => child.kill(),
  }
  return shell
}

/** Whether a block is what was printed, but for its numbers; a line `…` stands for lines that are left out. */
export function shows(block: string[], printed: string): boolean {
  const all = masked(printed).split('\n')
  let from = 0
  for (const piece of block.join('\n').split(/^…$/m)) {
    if (piece.trim() === '') continue
    const lines = masked(piece).split('\n')
    const at = all.findIndex(
      (_, start) => start >= from && lines.every((line, more) => all[start + more]?.trim() === line.trim()),
    )
    if (at < 0) return false
    from = at + lines.length
  }
  return true
}

/** What is typed after a prompt in a block, each with the lines that are shown below it. */
export function dialogue(prompt: string, block: Shown | undefined): { line: string; lines: string[] }[] {
  const all: { line: string; lines: string[] }[] = []
  for (const line of block?.lines ?? [])
    if (line.startsWith(prompt)) all.push({ line: line.slice(prompt.length), lines: [] })
    else all.at(-1)?.lines.push(line)
  if (all.length === 0) throw new Error(`the page has no block with ${prompt}`)
  return all
}
