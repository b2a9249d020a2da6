import { CliError, call } from './client.ts'
import { versionOf } from './faults.ts'
import { type Fields, fieldsOf, listOf, text } from './shape.ts'

const out = (line: string): void => void process.stdout.write(`${line}\n`)
const err = (line: string): void => void process.stderr.write(`${line}\n`)

/** Bytes as the lists show them: decimal units, one digit after the point below ten. */
export const humanBytes = (bytes: number): string => {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)))
  const value = bytes / 1000 ** at
  return `${value >= 10 || Number.isInteger(value) ? Math.floor(value) : value.toFixed(1)} ${units[at]}`
}

const amount = (seconds: number): string => {
  if (seconds < 1) return 'Less than a second'
  if (seconds < 60) return seconds < 2 ? '1 second' : `${Math.floor(seconds)} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return minutes === 1 ? 'About a minute' : `${minutes} minutes`
  const hours = Math.round(seconds / 3600)
  if (hours < 48) return hours === 1 ? 'About an hour' : `${hours} hours`
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`
  return hours < 24 * 365 ? `${Math.floor(hours / 24 / 7)} weeks` : `${Math.floor(hours / 24 / 365)} years`
}

/** A time as `3 minutes ago` or `4 minutes from now`; far away is `Forever`. */
export const humanTime = (iso: string, now = Date.now()): string => {
  const seconds = (now - Date.parse(iso)) / 1000
  if (seconds < -3.15e9) return 'Forever'
  return seconds < 0 ? `${amount(-seconds)} from now` : `${amount(seconds)} ago`
}

const table = (heads: string[], rows: string[][]): void => {
  const all = [heads, ...rows]
  const widths = heads.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)))
  for (const row of all) out(row.map((cell, at) => cell.padEnd((widths[at] ?? 0) + 4)).join(''))
}

const list = async (): Promise<void> => {
  const { models } = await call('GET', '/api/tags')
  const rows = listOf(models).map(fieldsOf)
  table(
    ['NAME', 'ID', 'SIZE', 'MODIFIED'],
    rows.map((m) => [
      text(m.name),
      text(m.digest).slice(0, 12),
      humanBytes(Number(m.size)),
      humanTime(text(m.modified_at)),
    ]),
  )
}

const ps = async (): Promise<void> => {
  const { models } = await call('GET', '/api/ps')
  const rows = listOf(models).map(fieldsOf)
  table(
    ['NAME', 'ID', 'SIZE', 'PROCESSOR', 'CONTEXT', 'UNTIL'],
    rows.map((m) => [
      text(m.name),
      text(m.digest).slice(0, 12),
      humanBytes(Number(m.size)),
      '100% GPU',
      String(m.context_length),
      humanTime(text(m.expires_at)),
    ]),
  )
}

const section = (title: string, rows: string[][]): void => {
  const width = Math.max(...rows.map(([name]) => name?.length ?? 0)) + 4
  out(`  ${title}`)
  for (const [name = '', value = ''] of rows) out(`    ${value ? name.padEnd(width) + value : name}    `)
  out('')
}

const show = async (model: string): Promise<void> => {
  const answer = await call('POST', '/api/show', { model })
  const details = fieldsOf(answer.details)
  const info = fieldsOf(answer.model_info)
  const family = text(details.family)
  const figure = (key: string) => String(info[`${family}.${key}`] ?? '')
  section('Model', [
    ['architecture', family],
    ['parameters', text(details.parameter_size)],
    ['context length', figure('context_length')],
    ['embedding length', figure('embedding_length')],
    ['quantization', text(details.quantization_level)],
  ])
  section(
    'Capabilities',
    listOf(answer.capabilities).map((name) => [text(name)]),
  )
}

const progressOf = (row: Fields): string => {
  const total = Number(row.total ?? 0)
  if (total === 0) return text(row.status)
  const percent = Math.floor((Number(row.completed ?? 0) / total) * 100)
  return `${text(row.status)}: ${String(percent).padStart(3)}% ▕${'█'.repeat(Math.floor(percent / 6)).padEnd(16)}▏ ${humanBytes(total)}`
}

const pull = async (model: string): Promise<void> => {
  let failure = ''
  await call('POST', '/api/pull', { model }, (row) => {
    if (row.error !== undefined) failure = text(row.error)
    else err(progressOf(row))
  })
  if (failure) throw new CliError(failure)
}

const run = async ([model = '', ...words]: string[]): Promise<void> => {
  try {
    await call('POST', '/api/show', { model })
  } catch (error) {
    if (!(error instanceof CliError && error.message.includes('not found'))) throw error
    await pull(model)
  }
  let failure = ''
  await call(
    'POST',
    '/api/generate',
    { model, prompt: words.filter((word) => !word.startsWith('--')).join(' ') },
    (row) => {
      if (row.error !== undefined) failure = text(row.error)
      process.stdout.write(text(row.response))
    },
  )
  if (failure) throw new CliError(failure)
  out('\n')
}

const stop = async (model: string): Promise<void> => {
  try {
    await call('POST', '/api/generate', { model, keep_alive: 0 })
  } catch (error) {
    const missing = error instanceof CliError && error.message.includes('not found')
    throw missing ? new CliError(`couldn't find model ${JSON.stringify(model)} to stop`) : error
  }
}

const remove = async (models: string[]): Promise<void> => {
  for (const model of models) {
    await call('DELETE', '/api/delete', { model })
    out(`deleted '${model}'`)
  }
}

/** What `--version` says where nobody listens. */
export const unconnected = (own: string): string =>
  `Warning: could not connect to a running Ollama instance\nWarning: client version is ${own}`

const version = async (box: string): Promise<void> => {
  const own = versionOf(box)
  const server = await call('GET', '/api/version').catch(() => undefined)
  if (!server) return out(unconnected(own))
  out(`ollama version is ${text(server.version)}`)
  if (text(server.version) !== own) out(`Warning: client version is ${own}`)
}

const VERBS: Record<string, { needs: number; do: (args: string[]) => Promise<void> }> = {
  list: { needs: 0, do: list },
  ls: { needs: 0, do: list },
  ps: { needs: 0, do: ps },
  show: { needs: 1, do: ([model = '']) => show(model) },
  pull: { needs: 1, do: ([model = '']) => pull(model) },
  run: { needs: 1, do: run },
  stop: { needs: 1, do: ([model = '']) => stop(model) },
  rm: { needs: 1, do: remove },
  cp: {
    needs: 2,
    do: async ([source, destination]) => void (await call('POST', '/api/copy', { source, destination })),
  },
}

const USAGE = `Large language model runner

Usage:
  ollama [flags]
  ollama [command]

Available Commands:
  serve       Start Ollama
  ${Object.keys(VERBS).join('\n  ')}`

/** The client verbs; the exit code. Errors are one line on stderr and 1, as cobra gives them. */
export const cli = async (argv: string[], box: string): Promise<number> => {
  const [verb = '', ...args] = argv
  try {
    if (['--version', '-v'].includes(verb)) await version(box)
    else if (['', 'help', '--help', '-h'].includes(verb)) out(USAGE)
    else await dispatch(verb, args)
    return 0
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    err(`Error: ${error.message}`)
    return 1
  }
}

const dispatch = async (verb: string, args: string[]): Promise<void> => {
  const known = VERBS[verb]
  if (!known) throw new CliError(`unknown command ${JSON.stringify(verb)} for "ollama"`)
  const given = args.filter((arg) => !arg.startsWith('--')).length
  if (given < known.needs) throw new CliError(`requires at least ${known.needs} arg(s), only received ${given}`)
  await call('HEAD', '/')
  await known.do(args)
}
