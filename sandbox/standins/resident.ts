import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { between } from './ask.ts'
import type { Box } from './box.ts'
import { main as brew } from './brew.ts'
import { main as socketfilterfw } from './firewall.ts'
import { main as ifconfig } from './ifconfig.ts'
import type { Answer } from './launchd/answer.ts'
import { answer } from './launchd/verbs.ts'
import type { World } from './launchd/world.ts'
import { main as lsof } from './lsof.ts'
import { main as netstat } from './netstat.ts'
import { unconnected } from './ollama/cli.ts'
import { versionOf } from './ollama/faults.ts'
import { defaults, fdesetup, pmset } from './power.ts'
import { main as ps } from './ps.ts'
import { main as sysctl } from './sysctl.ts'
import { id, overheard, say, swVers, uname } from './system.ts'
import { main as tailscale } from './tailscale.ts'

type Look = (argv: string[], box: Box) => number | Promise<number> | undefined

/** Only what is said at once: a login waits for a person, and a session of `serve` for its end. */
const tailscaleLook: Look = (argv, box) =>
  ['status', 'ip', 'whois', 'version'].includes(argv[0] ?? '') || argv.slice(0, 2).join(' ') === 'serve status'
    ? tailscale(argv, box)
    : undefined

/** Its other verbs take their time. */
const brewLook: Look = (argv, box) => (['--prefix', '--cache'].includes(argv[0] ?? '') ? brew(argv, box) : undefined)

/** Among all processes whoever asks would not be found by its name; who asks for their parents does not look for itself. */
const psLook: Look = (argv, box) => (argv.includes('-p') || argv[0] === '-wwAo' ? ps(argv, box) : undefined)

/** With an OLLAMA_HOST where nobody listens, as the scripts ask it. */
const ollamaLook: Look = (argv, box) =>
  argv.join(' ') === '--version' ? say(unconnected(versionOf(box.dir))) : undefined

const looks: Record<string, Look> = {
  lsof,
  netstat,
  ifconfig,
  pmset,
  fdesetup,
  defaults,
  socketfilterfw,
  sysctl,
  uname,
  id,
  sw_vers: swVers,
  brew: brewLook,
  ps: psLook,
  tailscale: tailscaleLook,
  // The app's program with TAILSCALE_BE_CLI=1.
  Tailscale1: tailscaleLook,
  'ollama127.0.0.1:1': ollamaLook,
}

/** A pipe holds 64 kB, and an answer is written at once. */
const LONGEST = 60_000

async function answerTo(world: World, name: string, cwd: string, argv: string[]): Promise<Answer | undefined> {
  // Its client says how it is used, and runs what goes `asuser`.
  if (name === 'launchctl' && [undefined, 'asuser'].includes(argv[0])) return undefined
  if (name === 'launchctl') return answer(world, { argv, cwd, tty: false, root: false, ssh: false })
  const look = Object.hasOwn(looks, name) ? looks[name] : undefined
  return look && overheard(() => look(argv, world.box))
}

/** The first line is the exit code and the stream that the rest is for, 0 for none; `no` when a Node is needed after all. */
function written(said: Answer | undefined): string {
  const both = said && said.stdout !== '' && said.stderr !== ''
  const text = said ? said.stdout + said.stderr : ''
  if (!said || both || Buffer.byteLength(text) > LONGEST) return 'no 0\n'
  return `${said.code} ${text === '' ? 0 : said.stdout === '' ? 2 : 1}\n${text}`
}

async function reply(world: World, line: string, before: () => void): Promise<void> {
  const [pid = '', name = '', cwd = '/', count, ...words] = line.split(between)
  before()
  const said = await answerTo(world, name, cwd, count === '0' ? [] : words).catch((error) => {
    world.log('launchd', `${name} ${words.join(' ')} failed: ${error}`)
    return undefined
  })
  const path = join(world.box.dir, `run/asked.${pid}`)
  try {
    const pipe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    writeSync(pipe, written(said))
    closeSync(pipe)
  } catch {
    // Whoever asked was killed meanwhile.
  }
  rmSync(path, { force: true })
}

/** Answers `askResident` until the given function is called; `before` runs before each answer. */
export function openDoor(world: World, before: () => void): () => void {
  const door = join(world.box.dir, 'run/asked')
  rmSync(door, { force: true })
  execFileSync('mkfifo', [door])
  // Open for writing, too, so that it never ends.
  const fd = openSync(door, constants.O_RDWR | constants.O_NONBLOCK)
  const questions = new Socket({ fd, readable: true, writable: false })
  createInterface({ input: questions }).on('line', (line) => void reply(world, line, before))
  return () => {
    rmSync(door, { force: true })
    questions.destroy()
  }
}
