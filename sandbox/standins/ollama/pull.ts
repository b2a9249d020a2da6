import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Handler, Turn } from './context.ts'
import { PULL } from './decode.ts'
import { ApiError, wait } from './errors.ts'
import { readFaults } from './faults.ts'
import { progress, UNREACHABLE } from './manage.ts'
import { type ModelName, parseName, shortName } from './names.ts'
import { nativeBody } from './native.ts'
import { type Entry, modelFor, registryOf } from './registry.ts'
import { text } from './shape.ts'

const STEPS = 10

type Lines = ReturnType<typeof progress>

const manifestUrl = (asked: string, name: ModelName, insecure: boolean): string => {
  const scheme = insecure && asked.startsWith('http://') ? 'http' : 'https'
  return `${scheme}://${name.host}/v2/${name.namespace}/${name.model}/manifests/${name.tag}`
}

/** Why a manifest cannot be had, in the words of Go's dialler or of the registry. */
const trouble = (turn: Turn, asked: string, name: ModelName, insecure: boolean): string | undefined => {
  const url = manifestUrl(asked, name, insecure)
  const elsewhere = name.host !== 'registry.ollama.ai'
  if (elsewhere) return `pull model manifest: Get "${url}": dial tcp ${name.host}: connect: connection refused`
  if (readFaults(turn.server.box).offline) return `pull model manifest: Get "${url}": ${UNREACHABLE}`
  return registryOf(turn.server.box).has(shortName(name)) ? undefined : 'pull model manifest: file does not exist'
}

/** Bytes that an earlier, broken pull left; kept beside the blob as Ollama keeps its `-partial` files. */
const partialPath = (turn: Turn, digest: string): string => `${turn.server.store.blobPath(digest)}-partial`
const resumedAt = (path: string): number => (existsSync(path) ? Number(readFileSync(path, 'utf8')) || 0 : 0)

/** The weights, in steps; undefined when they are all there, else the text of the failure. */
const download = async (turn: Turn, lines: Lines, digest: string, row: Entry): Promise<string | undefined> => {
  const path = partialPath(turn, digest)
  mkdirSync(dirname(path), { recursive: true })
  const status = `pulling ${digest.slice(7, 19)}`
  const total = row.bytes
  let completed = resumedAt(path)
  await lines.line({ status, digest, total, ...(completed ? { completed } : {}) })
  while (completed < total) {
    const faults = readFaults(turn.server.box)
    await wait((faults.pullMs ?? 500) / STEPS, turn.request.signal)
    if (turn.request.signal.aborted) return 'context canceled'
    completed = Math.min(total, completed + Math.ceil(total / STEPS))
    writeFileSync(path, String(completed))
    await lines.line({ status, digest, total, completed })
    if (faults.pullFailsAt !== undefined && completed >= faults.pullFailsAt * total) return 'unexpected EOF'
  }
  rmSync(path, { force: true })
  return undefined
}

const small = async (lines: Lines, content: string | undefined): Promise<void> => {
  if (!content) return
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  const size = Buffer.byteLength(content)
  const status = `pulling ${digest.slice(7, 19)}`
  await lines.line({ status, digest, total: size })
  await lines.line({ status, digest, total: size, completed: size })
}

/** POST /api/pull: progress lines, resumed where an earlier pull broke; 200 whatever happens once the name is valid. */
export const pull: Handler = async (turn) => {
  const fields = await nativeBody(turn, PULL)
  const asked = text(fields.model) || text(fields.name)
  const name = parseName(asked)
  if (!name) throw new ApiError(400, 'invalid model name')
  const lines = progress(turn, fields.stream !== false)
  await lines.line({ status: 'pulling manifest' })
  const failure = trouble(turn, asked, name, fields.insecure === true)
  const row = registryOf(turn.server.box).get(shortName(name))
  if (failure || !row) return lines.failed(failure ?? 'pull model manifest: file does not exist')
  const model = modelFor(name, row)
  const content = model.weights.content
  const digest = model.weights.digest ?? `sha256:${createHash('sha256').update(content).digest('hex')}`
  const there = turn.server.store.hasBlob(digest)
  if (there)
    await lines.line({ status: `pulling ${digest.slice(7, 19)}`, digest, total: row.bytes, completed: row.bytes })
  const broken = there ? undefined : await download(turn, lines, digest, row)
  if (broken) return lines.failed(broken)
  await small(lines, model.template)
  await small(lines, model.license)
  await lines.line({ status: 'verifying sha256 digest' })
  turn.server.store.add(name, model)
  await lines.line({ status: 'writing manifest' })
  await lines.done()
}
