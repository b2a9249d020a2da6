import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { $ } from 'zx/core'
import { unless } from './appended.ts'
import { type Output, Unexpected } from './command.ts'
import { greet } from './handshake.ts'
import type {
  FileFacts,
  Host,
  Look,
  QueryOptions,
  RawAnswer,
  RawBytes,
  RawEnd,
  RawRequest,
  RunOptions,
  System,
  WriteOptions,
} from './look.ts'
import { overhear } from './overheard.ts'
import { resolve } from './resolve.ts'
import { conversation, converse } from './runtime-api.ts'
import { wake } from './wake.ts'

export type * from './look.ts'

/** zx reads `ps -lx` as a table and throws, where nobody can catch it, when some process's words do not fit; two numbers a line always do. */
$.kill = async (pid, signal = 'SIGTERM') => {
  const { stdout } = await $({ nothrow: true, quiet: true })`ps -Ao pid=,ppid=`
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  const found = [Number(pid)]
  for (const parent of found) for (const [child, of] of rows) if (child && of === parent) found.push(child)
  for (const one of found.reverse()) {
    try {
      process.kill(one, signal)
    } catch {
      // It has ended meanwhile.
    }
  }
}

type Note = (line: string) => void

const expected = (code: number, { codes = [0] }: RunOptions): boolean => codes.includes(code)

async function execute(argv: string[], options: RunOptions & QueryOptions, note: Note): Promise<Output> {
  const { interactive = false, overheard } = options
  const said = interactive && !overheard ? 'inherit' : 'pipe'
  const shell = $({
    nothrow: true,
    quiet: true,
    stdio: [interactive ? 'inherit' : 'pipe', said, said],
    timeout: options.timeoutMs ?? 10_000,
    env: { ...process.env, ...options.env },
    ...(interactive ? {} : { input: options.input ?? '' }),
  })
  const running = shell`${argv}`
  const ended = overheard && overhear([running.stdout, running.stderr], overheard, interactive, note)
  const result = await running
  const { stdout, stderr } = result
  const code = result.exitCode ?? (result.signal === 'SIGTERM' ? 124 : 128)
  ended?.(!expected(code, options))
  return { code, stdout, stderr }
}

async function stat(file: string): Promise<FileFacts | undefined> {
  const facts = await unless(fs.lstat(file), undefined)
  if (!facts) return undefined
  const kind = facts.isFile() ? 'file' : facts.isDirectory() ? 'folder' : facts.isSymbolicLink() ? 'link' : 'other'
  const target = kind === 'link' ? await fs.readlink(file) : undefined
  return { kind, mode: facts.mode & 0o7777, uid: facts.uid, size: facts.size, target }
}

async function find(candidates: string[]): Promise<string | undefined> {
  // npm and npx put folders of theirs in front for this process, which no terminal has.
  const folders = (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => folder.startsWith('/') && !folder.endsWith('/node_modules/.bin'))
  const paths = candidates.flatMap((name) =>
    name.startsWith('/') ? [name] : folders.map((folder) => `${folder}/${name}`),
  )
  for (const candidate of paths) {
    const usable = await fs.access(candidate, fs.constants.X_OK).then(
      () => true,
      () => false,
    )
    if (usable) return candidate
  }
  return undefined
}

async function free(folder: string): Promise<number> {
  const facts = await fs.statfs(folder).catch(() => undefined)
  if (facts) return facts.bavail * facts.bsize
  const above = path.dirname(folder)
  return above === folder ? 0 : free(above)
}

/** Node's own `fetch` will not do: it drops a Host header and tidies up targets. */
function probe(request: RawRequest): Promise<RawAnswer> {
  const started = performance.now()
  const answer: RawAnswer = { end: 'cut', status: 0, headers: {}, body: '', pieces: [], ms: 0 }
  return new Promise((resolve) => {
    const finish = (end: RawAnswer['end'], error?: string) => {
      clearTimeout(timer)
      outgoing.destroy()
      resolve({ ...answer, end, error, ms: performance.now() - started })
    }
    const { tlsName, tlsRoots } = request
    // An address is no name that TLS could ask for; the certificate is held against it all the same.
    const servername = net.isIP(tlsName ?? '') === 0 ? tlsName : ''
    const named = { servername, rejectUnauthorized: tlsRoots !== undefined, ca: tlsRoots }
    const outgoing = (tlsName === undefined ? http : https).request({
      ...(tlsName === undefined ? {} : named),
      host: request.address,
      port: request.port,
      method: request.method,
      path: request.target,
      headers: { ...(request.body ? { 'content-length': Buffer.byteLength(request.body) } : {}), ...request.headers },
      setHost: false,
      agent: false,
    })
    const timer = setTimeout(() => finish('timeout'), request.timeoutMs ?? 10_000)
    const stood = () => Object.assign(answer, { connectMs: performance.now() - started })
    outgoing.on('socket', (socket) => socket.on('connect', stood))
    outgoing.on('error', (error: NodeJS.ErrnoException) => finish(answer.status ? 'cut' : 'refused', error.code))
    outgoing.on('connect', (response) => {
      answer.status = response.statusCode ?? 0
      finish('complete')
    })
    outgoing.on('response', (response) => {
      answer.status = response.statusCode ?? 0
      answer.headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, `${value}`]))
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        answer.body += text
        answer.pieces.push({ ms: performance.now() - started, text })
      })
      response.on('end', () => finish(response.complete ? 'complete' : 'cut'))
      response.on('error', () => finish('cut'))
    })
    outgoing.end(request.body)
  })
}

function raw({ address, port, bytes, enough, timeoutMs = 3000, tlsName }: RawBytes): Promise<RawEnd> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = []
    const socket = net.connect({ host: address, port, noDelay: true, allowHalfOpen: true })
    const connection =
      tlsName === undefined ? socket : tls.connect({ socket, servername: tlsName, rejectUnauthorized: false })
    const finish = (end: RawEnd['end']) => {
      clearTimeout(timer)
      connection.destroy()
      resolve({ come: Buffer.concat(pieces), end })
    }
    const timer = setTimeout(() => finish('open'), timeoutMs)
    connection.on('error', (error: NodeJS.ErrnoException) =>
      finish(error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'reset' : 'refused'),
    )
    connection.on('end', () => finish('closed'))
    connection.on('data', (piece) => {
      pieces.push(piece)
      if (enough(Buffer.concat(pieces))) finish('open')
    })
    connection.write(bytes)
  })
}

/** A GET on an address of this machine, with that address as Host; 5 s unless told. */
export const getAt = (look: Look, at: { address: string; port: number }, target: string, timeoutMs = 5000) =>
  look.probe({ ...at, method: 'GET', target, headers: { host: `${at.address}:${at.port}` }, timeoutMs })

/** ms after which a wait is told, when it may take more than `short`; a person wonders then. */
const wondering = 2000
const short = 5000

const spoken = (ms: number): string =>
  ms < 120_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.ceil(ms / 60_000)} minutes`

/** Polls; a long wait is told once under its name, and one without a name was told by whoever waits. */
function waiter(tell: (line: string) => void): Look['until'] {
  const known = new Set([''])
  return async (what, withinMs, test, everyMs = 250) => {
    const begun = performance.now()
    for (;;) {
      if (await test()) return true
      const waited = performance.now() - begun
      if (waited >= withinMs) return false
      if (waited >= wondering && withinMs > short && !known.has(what)) {
        known.add(what)
        tell(`Waiting until ${what}, ${spoken(withinMs)} at most.`)
      }
      await sleep(everyMs)
    }
  }
}

/** Throws when it is more than a question. */
function question(command: string): string {
  if (!/^(@\S+ )?show /.test(command)) throw new Error(`not a question: ${command}`)
  return command
}

/** By its own word, since a Mac's programs and those of Linux lie and behave otherwise; an image says itself that it is one. */
function systemHere(): System {
  if (process.env.ROP_SYSTEM === 'container') return 'container'
  return spawnSync('uname', ['-s']).stdout?.toString().trim() === 'Darwin' ? 'mac' : 'linux'
}

/** Reads this machine. `note` hears of every command, for the run's log, and `tell` of every long wait, for the person. */
export function realLook(note: Note = () => {}, tell: Note = () => {}): Look {
  return {
    home: process.env.HOME ?? os.homedir(),
    system: systemHere(),
    async query(argv, options = {}) {
      const output = await execute(argv, options, note)
      note(`query ${argv.join(' ')} -> ${output.code}`)
      return output
    },
    read: (file) => unless<string | undefined>(fs.readFile(file, 'utf8'), undefined),
    stat,
    find,
    list: async (folder) => (await unless(fs.readdir(folder), [])).sort(),
    free,
    probe,
    raw,
    greet,
    resolve,
    ask: async (socket, command) => converse(socket, question(command)).catch(() => undefined),
    asking: (socket, talk) => conversation(socket, (say) => talk(async (command) => say(question(command)))),
    until: waiter(tell),
  }
}

/** One name for each file, so that what a killed run left is overwritten by the next write and goes with the file. */
const draft = (file: string): string => `${file}.writing`
/** ms after which a draft that nobody touches is a killed run's. */
const abandoned = 2000

/** A draft of our own: the observer writes some files that the scripts write, too, and each waits for the other. */
async function openDraft(file: string, mode: number): Promise<fs.FileHandle> {
  for (;;) {
    try {
      return await fs.open(file, 'wx', mode)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const touched = (await unless(fs.lstat(file), undefined))?.mtimeMs
    if (touched !== undefined && Math.abs(Date.now() - touched) > abandoned) await fs.rm(file, { force: true })
    else await sleep(20)
  }
}

async function writeFile(file: string, text: string, mode = 0o600, { flush = true }: WriteOptions = {}): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const temporary = draft(file)
  const handle = await openDraft(temporary, mode)
  try {
    await handle.writeFile(text)
    await handle.chmod(mode)
    if (flush) await handle.sync()
    await fs.rename(temporary, file)
  } catch (error) {
    await fs.rm(temporary, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

async function linkFile(target: string, file: string): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const temporary = draft(file)
  await fs.rm(temporary, { force: true })
  await fs.symlink(target, temporary)
  await fs.rename(temporary, file)
}

async function postLines(
  url: string,
  body: unknown,
  onLine: (line: string) => void = () => {},
  timeoutMs?: number,
): Promise<number> {
  const signal = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs)
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body), signal })
  let rest = ''
  for await (const bytes of answer.body ?? []) {
    rest += Buffer.from(bytes).toString('utf8')
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
  if (rest) onLine(rest)
  return answer.status
}

/** A command to HAProxy as a log has it, without the hash of a key. */
const asTold = (socket: string, command: string, payload?: string[]): string =>
  `tell ${path.basename(socket)}: ${command.replaceAll(/\b[0-9a-f]{64}\b/gi, 'HASH')}${payload ? ` (${payload.length} lines)` : ''}`

/** Changes this machine. `note` hears of every command and change, for the run's log, and `tell` of every long wait, for the person. */
export function realHost(note: Note = () => {}, tell: Note = () => {}): Host {
  return {
    ...realLook(note, tell),
    async run(argv, options = {}) {
      note(`run ${argv.join(' ')}`)
      const output = await execute(argv, { timeoutMs: 3_600_000, ...options }, note)
      note(`  -> ${output.code} ${options.secret || options.overheard ? '' : output.stderr.trim()}`)
      if (expected(output.code, options)) return output
      const unseen = options.interactive && !options.overheard
      throw new Unexpected(argv, unseen ? { ...output, stderr: 'its own words are above' } : output)
    },
    async write(file, text, mode, options) {
      note(`write ${file} (${text.length} bytes)`)
      await writeFile(file, text, mode, options)
    },
    async folder(folder, mode = 0o700) {
      await fs.mkdir(folder, { recursive: true, mode })
      await fs.chmod(folder, mode)
    },
    link: linkFile,
    async move(from, to) {
      note(`move ${from} to ${to}`)
      await fs.mkdir(path.dirname(to), { recursive: true, mode: 0o700 })
      await fs.rename(from, to)
    },
    async copy(from, to) {
      await fs.cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
    },
    async remove(file) {
      note(`remove ${file}`)
      for (const name of [file, draft(file)]) await fs.rm(name, { recursive: true, force: true })
    },
    post: postLines,
    async tell(socket, command, payload) {
      note(asTold(socket, command, payload))
      return converse(socket, command, payload)
    },
    telling: (socket, talk) =>
      conversation(socket, (say) =>
        talk((command, payload) => {
          if (!command.startsWith('show ')) note(asTold(socket, command, payload))
          return say(command, payload)
        }),
      ),
    wake,
    beside(argv) {
      const child = $({ nothrow: true, quiet: true, detached: true })`${argv}`
      return () => void child.kill('SIGTERM').catch(() => {})
    },
  }
}

/** Logs of runs that are kept. */
const keptLogs = 30

/** Removes all but the newest logs of runs, and never this one: their names begin with the time, and a clock may have been set back. */
async function prune(file: string): Promise<void> {
  const folder = path.dirname(file)
  const runs = (await fs.readdir(folder)).filter((name) => /^\d{4}-\d\d-\d\dT.*\.log$/.test(name)).sort()
  const old = runs.slice(0, -keptLogs).filter((name) => name !== path.basename(file))
  for (const name of old) await fs.rm(path.join(folder, name), { force: true })
}

/** Appends to a file, synchronously in order; the run's log. */
export async function openLog(
  file: string,
): Promise<{ note(line: string): void; close(): Promise<void>; discard(): Promise<void> }> {
  const made = await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  const handle = await fs.open(file, 'a', 0o600)
  await prune(file)
  let tail: Promise<unknown> = Promise.resolve()
  return {
    note(line) {
      tail = tail.then(() => handle.write(`${new Date().toISOString()} ${line}\n`)).catch(() => {})
    },
    async close() {
      await tail
      await handle.close()
    },
    // As if it had never been opened.
    async discard() {
      await fs.rm(file, { force: true })
      for (let at = path.dirname(file); made !== undefined && at.startsWith(made); at = path.dirname(at))
        await fs.rmdir(at).catch(() => {})
    },
  }
}
