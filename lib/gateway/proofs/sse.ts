import type { RawAnswer } from '../../host/host.ts'

/** One server-sent event; `ms` is when its last byte arrived, counted from the request. */
export interface ServerEvent {
  /** the `event:` field; empty when there is none */
  name: string
  data: string
  ms: number
}

/** The pieces cut into lines, each with the time at which it was complete. An unfinished last line is dropped, as the standard says. */
function* timedLines(pieces: RawAnswer['pieces']): Generator<{ line: string; ms: number }> {
  let rest = ''
  for (const { ms, text } of pieces) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield { line: line.replace(/\r$/, ''), ms }
  }
}

/** The events of a `text/event-stream` body (WHATWG HTML, "Server-sent events"); comments and events without data are left out. */
export function serverEvents(answer: RawAnswer): ServerEvent[] {
  const events: ServerEvent[] = []
  let name = ''
  let data: string[] = []
  for (const { line, ms } of timedLines(answer.pieces)) {
    const field = /^(event|data): ?(.*)$/s.exec(line)
    if (field?.[1] === 'event') name = field[2] ?? ''
    if (field?.[1] === 'data') data.push(field[2] ?? '')
    if (line !== '') continue
    if (data.length > 0) events.push({ name, data: data.join('\n'), ms })
    name = ''
    data = []
  }
  return events
}

/** The lines of an NDJSON body, parsed; a line that is no JSON comes as undefined. */
export function jsonLines(answer: RawAnswer): unknown[] {
  return answer.body.split('\n').flatMap((line) => (line.trim() === '' ? [] : [parsed(line)]))
}

/** JSON, or undefined when it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
