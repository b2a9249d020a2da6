import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Box, createBox } from './box/box.ts'
import { scriptCommand } from './box/layout.ts'
import { checkout } from './box/paths.ts'
import type { Preset } from './box/presets.ts'

const usage = `Runs a script of this checkout, or any command, on a Mac in a box.

  npx tsx sandbox/run.ts [options] SCRIPT [ARGS…]

  --bare, --brew, --ready  what the Mac has at first: nothing (as unpacked), Homebrew,
                           or Homebrew, Ollama, HAProxy and a joined Tailscale; bare unless told
  --keep DIR               make the box in this new folder (a short path) and leave it there
  --box DIR                run in a box that was kept: its Mac starts as after a reboot
  --ollama PATH            this program in place of the stand-in Ollama
  --plain                  without namespaces, as on a machine that forbids them

SCRIPT is a .ts file, such as install.ts; anything else is a command of the box, such as sh or launchctl.
Its exit code is passed on.
`

const options = {
  bare: { type: 'boolean' },
  brew: { type: 'boolean' },
  ready: { type: 'boolean' },
  keep: { type: 'string' },
  box: { type: 'string' },
  ollama: { type: 'string' },
  plain: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

type Options = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

/** Our options end at the first word that is none of them; the rest belongs to the script. */
function split(argv: string[]): { own: string[]; command: string[] } {
  let at = 0
  while (argv[at]?.startsWith('--')) at += ['--keep', '--box', '--ollama'].includes(argv[at] ?? '') ? 2 : 1
  return { own: argv.slice(0, at), command: argv.slice(at) }
}

function wrong(message: string): never {
  process.stderr.write(`${message}\n\n${usage}`)
  process.exit(64)
}

function read(argv: string[]): { values: Options; command: string[] } {
  const { own, command } = split(argv)
  try {
    return { values: parseArgs({ args: own, options }).values, command }
  } catch (error) {
    return wrong((error as Error).message)
  }
}

function folder({ keep, box }: Options): string | undefined {
  if (keep !== undefined && box !== undefined) wrong('--keep and --box: one of them')
  if (keep !== undefined && existsSync(join(keep, 'mac.json'))) wrong(`${keep} holds a box already: open it by --box`)
  if (box !== undefined && !existsSync(join(box, 'mac.json'))) wrong(`${box} holds no box`)
  const path = keep ?? box
  return path === undefined ? undefined : resolve(path)
}

function preset({ ready, brew }: Options): Preset {
  if (ready) return 'ready'
  return brew ? 'brew' : 'bare'
}

/** With the terminal handed over: Ctrl-C is for the script, and neither we nor what enters the box may die of it. */
async function pass(box: Box, [name = '', ...args]: string[]): Promise<number> {
  const command = name.endsWith('.ts') ? scriptCommand(name, args) : [name, ...args]
  const cwd = name.endsWith('.ts') ? checkout : undefined
  const inside = box.command(['/usr/bin/env', '--default-signal=INT,QUIT', ...command], { cwd })
  const term = process.env.TERM ? { TERM: process.env.TERM } : {}
  const words = ['-c', 'trap "" INT QUIT; exec "$@"', 'sh', ...inside.argv]
  process.removeAllListeners('SIGINT').on('SIGINT', () => {})
  const child = spawn('/bin/sh', words, { env: { ...inside.env, ...term }, stdio: 'inherit' })
  const ended = await once(child, 'exit')
  const [code, signal]: [number | null, NodeJS.Signals | null] = [ended[0], ended[1]]
  return code ?? 128 + (signal ? constants.signals[signal] : 0)
}

async function main(): Promise<number> {
  const { values, command } = read(process.argv.slice(2))
  if (values.help) return Number(!process.stdout.write(usage))
  if (command.length === 0) wrong('no SCRIPT')
  const keep = folder(values)
  const ollama = values.ollama === undefined ? undefined : resolve(values.ollama)
  const box = await createBox({
    preset: preset(values),
    keep,
    ollama,
    ...(values.plain ? { namespaces: false } : {}),
  })
  if (box.why && !values.plain) process.stderr.write(`A plain box: ${box.why}.\n`)
  try {
    return await pass(box, command)
  } finally {
    await box.close()
    if (keep) process.stderr.write(`The box stays in ${keep}: go on with --box ${keep}\n`)
  }
}

process.exitCode = await main()
