import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Box } from './box.ts'
import { alive, ownProcesses } from './processes.ts'
import { complain, say } from './system.ts'

/** Starts another stand-in that goes on by itself; it ends with the box, or with its own time limit. */
function launch(box: Box, name: string, args: string[]): void {
  const env = { ...process.env, BOX: box.dir, TAILSCALE_BE_CLI: '1' }
  spawn(process.execPath, [process.argv[1] ?? '', name, ...args], { detached: true, stdio: 'ignore', env }).unref()
}

function openTailscale(box: Box): void {
  const { state, loginAfterMs, daemon } = box.mac.tailscale
  box.save(({ tailscale }) => {
    tailscale.daemon = true
  })
  // The person logs in at the window: only where the box was told that they will.
  // An app that runs already only comes to the front.
  if ((state === 'Stopped' && !daemon) || loginAfterMs !== undefined)
    launch(box, 'tailscale', ['login', '--timeout=60s'])
}

function openApp(box: Box, name: string): number {
  const app = name.replace(/\.app$/, '')
  if (!existsSync(join(box.mac.applications, `${app}.app`)))
    return complain(`Unable to find application named '${app}'`)
  if (app === 'Tailscale') openTailscale(box)
  if (app === 'Ollama') {
    box.save(({ ollamaApp }) => {
      ollamaApp.running = true
    })
    const program = join(box.mac.applications, 'Ollama.app/Contents/MacOS/Ollama')
    if (existsSync(program)) spawn(program, [], { detached: true, stdio: 'ignore' }).unref()
  }
  return 0
}

/** open: notes its words in opened.log; `-a Tailscale` and `-a Ollama` start the apps where they are installed. */
export function open(argv: string[], box: Box): number {
  appendFileSync(join(box.dir, 'opened.log'), `${argv.join(' ')}\n`)
  if (!box.mac.desktop)
    return complain(
      'The application cannot be opened because there is no desktop session (kLSServerCommunicationErr, -10822).',
    )
  const at = argv.findIndex((word) => /^-\w*a$/.test(word))
  if (at >= 0) return openApp(box, argv[at + 1] ?? '')
  const target = argv.at(-1) ?? ''
  if (/^[a-z-]+:/.test(target)) return 0
  if (target.endsWith('.app')) return openApp(box, target.split('/').at(-1) ?? '')
  return existsSync(target) ? 0 : complain(`The file ${target} does not exist.`)
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // Its own server may have ended with the app.
  }
}

/** An app that is told to quit ends its processes; its own server ends with it. */
async function quit(box: Box, app: string): Promise<number> {
  if (app === 'Tailscale') {
    box.save(({ tailscale }) => {
      tailscale.daemon = false
    })
  }
  const folder = join(box.mac.applications, `${app}.app`)
  const found = ownProcesses(box).filter(({ args }) => args[0]?.startsWith(`${folder}/`))
  for (const { pid } of found) end(pid)
  for (let waited = 0; found.some(({ pid }) => alive(pid)) && waited < 10_000; waited += 50) await sleep(50)
  if (app === 'Ollama') {
    box.save(({ ollamaApp }) => {
      ollamaApp.running = false
    })
  }
  return 0
}

/** osascript -e: quits apps and tells whether one runs; other scripts are noted in opened.log and succeed. */
export async function osascript(argv: string[], box: Box): Promise<number> {
  const script = argv.filter((_, at) => argv[at - 1] === '-e').join('\n')
  appendFileSync(join(box.dir, 'opened.log'), `osascript ${script}\n`)
  const quitting = /(?:quit app(?:lication)?|tell app(?:lication)?) "([^"]+)"(?: to quit)?/.exec(script)
  const { automationMs } = box.mac
  if (quitting && process.env.SSH_CONNECTION && automationMs !== undefined) {
    await sleep(automationMs)
    return complain(`execution error: ${quitting[1]} got an error: AppleEvent timed out. (-1712)`)
  }
  if (quitting?.[1] && script.includes('quit')) return quit(box, quitting[1])
  const asked = /app(?:lication)? "([^"]+)" is running/.exec(script)?.[1]
  if (asked)
    return say(
      String(asked === 'Ollama' ? box.mac.ollamaApp.running : asked === 'Tailscale' && box.mac.tailscale.daemon),
    )
  return 0
}

/** log show: what the box's launchd noted. */
export function log(argv: string[], box: Box): number {
  if (argv[0] !== 'show') return complain('usage: log <command>')
  say('Timestamp               Ty Process[PID:TID]')
  try {
    process.stdout.write(readFileSync(join(box.dir, 'run/launchd.log'), 'utf8'))
  } catch {
    // launchd has said nothing yet
  }
  return 0
}
