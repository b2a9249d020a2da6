import type { Usage } from '../../lib/commands/report.ts'
import { type Box, createBox, type Piece, type Running } from '../box/box.ts'
import { quoteAll } from '../box/quote.ts'
import { eventually } from '../stories/await.ts'
import { setFaults, settingsFile } from '../stories/installed.ts'
import { openStream, type Stream } from '../stories/stream.ts'
import { continued, nothing, type Recording } from './recording.ts'
import { type Line, shown, textOf } from './terminal.ts'

/** What a command showed on a terminal of 80 columns. */
export interface Scene {
  /** as it was typed */
  typed: string
  lines: Line[]
  code: number
  /** all that came, with the key in it that the lines do not show */
  raw: string
}

/** A first hour with the server, command by command, and the install as a film. */
export interface FirstHour {
  scenes: Record<string, Scene>
  film: Recording
  /** from the first command to the first answer */
  watch: {
    questions: number
    lines: number
    /** those of the lines that Homebrew and Tailscale print */
    others: number
    blank: number
    seconds: number
  }
}

/** An install from nothing takes its time on a busy machine; ms. */
const patience = 300_000

/** A Mac Studio as unpacked, but for a Node; its owner logs in to Tailscale in two seconds. */
export const newMac = (): Promise<Box> =>
  createBox({ preset: 'bare', mac: { tailscale: { loginAfterMs: 2000 }, launchd: { throttleMs: 200 } } })

/** A command on a terminal of 80 by 24. */
const begun = (box: Box, argv: string[], on: 'mac' | 'laptop' = 'mac'): Running =>
  box.start(['/bin/sh', '-c', `stty cols 80 rows 24; exec ${quoteAll(argv)}`], { tty: true, cwd: box.home, on })

/** Without the bell. */
const tidied = (pieces: Piece[]): Piece[] => pieces.map(({ at, text }) => ({ at, text: text.replaceAll('\x07', '') }))

const apiKey = /rop_[A-Za-z0-9]{36}/g

/** As long as a key, and none: no page shows one that ever counted. */
const noKey = `rop_${'ThisIsNoKey'.repeat(4).slice(0, 36)}`

async function ended(typed: string, running: Running, seen = () => running.output()): Promise<Scene> {
  const { code } = await running.done
  return { typed, code, raw: running.output(), lines: await shown(seen().replaceAll(apiKey, noKey)) }
}

/** `rop …`, as it is typed. */
async function rop(box: Box, typed: string): Promise<Scene> {
  const words = [...typed.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  return ended(typed, begun(box, [`${box.prefix}/bin/${words[0]}`, ...words.slice(1)]))
}

/** What is asked on the way, in this order, and answered by Enter. */
const questions = ['Install HAProxy proxy?', 'Which model?', 'Keep this Mac awake', 'Press RETURN/ENTER', 'Do this?']

/** Enter at every question, in whatever order they come; gives how many were ours. */
async function answered(running: Running): Promise<number> {
  const open = new Set(questions)
  let own = 0
  while (open.size > 0) {
    const words = [...open].map((one) => one.replaceAll(/[?.]/g, '\\$&'))
    const found = await Promise.race([
      running.expect(new RegExp(words.join('|')), patience).catch(() => undefined),
      running.done.then(() => undefined),
    ])
    if (found === undefined) break
    open.delete(found)
    if (!found.startsWith('Press')) own += 1
    running.write('\r')
  }
  return own
}

const question = (model: string): string => JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello?' }] })

/** From nothing to the first answered question: what is typed, asked and shown, and how long it takes. */
async function installed(box: Box): Promise<Pick<FirstHour, 'film' | 'watch'> & { scene: Scene }> {
  const started = performance.now()
  const running = begun(box, ['/bin/sh', `${process.cwd()}/bootstrap.sh`])
  const asked = await answered(running)
  const scene = await ended('./bootstrap.sh', running)
  const model = /^ {2}Model +(\S+)/m.exec(running.output())?.[1] ?? ''
  const base = `http://studio.tail0lab.ts.net:${box.port}`
  const curl = ['curl', '-s', `${base}/v1/chat/completions`, '-d', question(model)]
  const typed = `curl -s ${base}/v1/chat/completions -d '${question(model)}'`
  const first = begun(box, curl, 'laptop')
  const { code } = await first.done
  const seconds = (performance.now() - started) / 1000
  if (code !== 0 || !first.output().includes('"assistant"')) throw new Error(`no first answer:\n${first.output()}`)
  const film = continued(
    continued(nothing, '$ ', './bootstrap.sh', tidied(running.pieces())),
    'laptop$ ',
    typed,
    tidied(first.pieces()),
  )
  const lines = textOf(await shown(film.pieces.map(({ text }) => text).join(''))).split('\n')
  return { film, scene, watch: { questions: asked, ...countedLines(lines), seconds: Math.round(seconds) } }
}

/** While the work is done, our own lines begin with a mark. */
function countedLines(lines: string[]): Pick<FirstHour['watch'], 'lines' | 'others' | 'blank'> {
  const work = lines.slice(
    lines.findIndex((line) => /Do this\?.*yes$/.test(line)) + 1,
    lines.findIndex((line) => /^✓ Proof|^✗/.test(line)),
  )
  const others = work.filter((line) => line !== '' && !/^[✓!]/.test(line)).length
  return { lines: lines.length, others, blank: lines.filter((line) => line === '').length }
}

const keyIn = ({ raw }: Scene): string => raw.match(apiKey)?.[0] ?? ''

/** bob asks for what he may not, and ann and bob have answers that are under way. */
async function busy(box: Box, keys: Record<string, string>): Promise<Stream[]> {
  const { models } = JSON.parse(
    (await box.http('mac', { host: '127.0.0.1', port: box.enginePort, path: '/api/tags' })).body,
  ) as { models: { name: string }[] }
  const model = models[0]?.name ?? ''
  const asks = (name: string, path = '/v1/chat/completions') =>
    openStream(
      box,
      { model, stream: true, messages: [{ role: 'user', content: 'Tell me a story.' }] },
      { path, headers: { authorization: `Bearer ${keys[name]}` } },
    )
  const refused = await asks('bob', '/api/pull')
  await refused.ended
  setFaults(box, { holds: { afterTokens: 1 } })
  const bob = await asks('bob')
  await bob.sees('Hello')
  // Ollama works on one request of a model at a time, so ann's waits there.
  return [bob, await asks('ann')]
}

/** The last whole picture of `rop status --watch`, which takes the screen anew each time. */
async function watched(box: Box): Promise<Scene> {
  const typed = 'rop status --watch'
  const running = begun(box, [`${box.prefix}/bin/rop`, 'status', '--watch'])
  await running.expect(/Running \(2\)[\s\S]*q leaves/, patience)
  running.write('q')
  const pictures = () =>
    running
      .output()
      .split('\x1b[H\x1b[J')
      .filter((one) => /Running \(2\)[\s\S]*q leaves/.test(one))
  return ended(typed, running, () => pictures().at(-1) ?? '')
}

/** The models that were used on former days. */
const formerly = { bob: 'qwen3-coder:30b', ann: 'qwen3:0.6b' }

/** Six days before today, since a box is never a week old. */
function formerDays(box: Box): void {
  const share = (seconds: number) => ({ requests: Math.ceil(seconds / 25), refused: 0, seconds, bytes: seconds * 400 })
  const days = [
    [1500, 300],
    [4200, 900],
    [3100, 0],
    [0, 0],
    [2400, 1300],
    [5400, 700],
  ]
  for (const [ago, [bob = 0, ann = 0]] of days.entries()) {
    const at = new Date(Date.now() - (ago + 1) * 86_400_000)
    const day = `${at.getFullYear()}-${`${at.getMonth() + 1}`.padStart(2, '0')}-${`${at.getDate()}`.padStart(2, '0')}`
    const who = {
      ...(bob ? { bob: { [formerly.bob]: share(bob) } } : {}),
      ...(ann ? { ann: { [formerly.ann]: share(ann) } } : {}),
    }
    box.write(`${usageFolder}/${day}.json`, JSON.stringify({ who, used: {} }))
  }
}

const usageFolder = 'Library/Application Support/remote-ollama-proxy/state/usage'

/** The whole of it, on a new Mac. */
export async function firstHour(box: Box): Promise<FirstHour> {
  const { scene, film, watch } = await installed(box)
  const scenes: Record<string, Scene> = { install: scene }
  const play = async (name: string, typed: string) => {
    scenes[name] = await rop(box, typed)
    return scenes[name]
  }
  await play('status', 'rop status')
  box.write(settingsFile, box.read(settingsFile).replace(/^access: .*$/m, 'access: keys'), 0o600)
  await play('apply', 'rop apply')
  const keys = {
    bob: keyIn(await play('keys-add', 'rop keys add bob --per-minute 60 --concurrent 2')),
    ann: keyIn(await rop(box, 'rop keys add ann')),
  }
  const streams = await busy(box, keys)
  scenes.watch = await watched(box)
  setFaults(box, {})
  await Promise.all(streams.map(({ ended }) => ended))
  formerDays(box)
  await eventually('the observer has counted the answer that ended last', async () => {
    const { usage } = JSON.parse(textOf((await rop(box, 'rop status --report --json')).lines)) as { usage: Usage[] }
    return usage.some(({ who, model }) => who === 'ann' && model !== formerly.ann)
  })
  await play('report', 'rop status --report')
  await box.run(['launchctl', 'bootout', 'gui/501/com.ollama'])
  await play('doctor', 'rop doctor')
  await rop(box, 'rop install --yes')
  await play('keys-revoke', 'rop keys revoke bob --cut')
  await play('uninstall', 'rop uninstall --yes')
  return { scenes, film, watch }
}

/** Where the pictures are. */
export const folder = 'docs/pictures'
