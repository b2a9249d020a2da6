import type { Turn } from './context.ts'
import type { Talk } from './core.ts'
import type { Metrics } from './engine.ts'
import { ApiError, Cut, HungUp } from './errors.ts'
import type { Piece } from './voices.ts'

/** How one family of routes writes an answer. */
export interface Sink {
  piece(piece: Piece): void
  finish(metrics: Metrics): void
  /** An error after the first token; families differ in what they show of it. */
  broke(message: string): void
  /** An error before it: still with a status. */
  refuse(error: ApiError): void
}

/** One event in one HTTP chunk. */
const stream = async (turn: Turn, talk: Talk, sink: Sink): Promise<void> => {
  for (;;) {
    const next = await talk.events.next()
    if (next.done) {
      sink.finish(next.value)
      return turn.reply.flush()
    }
    sink.piece(next.value)
    if (turn.reply.pending || turn.reply.started) await turn.reply.flush()
  }
}

const whole = async (talk: Talk, sink: Sink): Promise<void> => {
  for (;;) {
    const next = await talk.events.next()
    if (next.done) return sink.finish(next.value)
    sink.piece(next.value)
  }
}

const failed = (turn: Turn, sink: Sink, error: unknown, streams: boolean): void => {
  if (error instanceof Cut) {
    turn.reply.cut()
    return
  }
  if (error instanceof HungUp) {
    turn.reply.closes = true
    if (!streams) sink.refuse(new ApiError(500, error.message))
    return
  }
  if (!(error instanceof ApiError)) throw error
  if (turn.reply.started) sink.broke(error.message)
  else sink.refuse(error)
}

/** Runs a talk into a sink. A broken stream still gets its end, as the real server gives it one. */
export const relay = async (turn: Turn, talk: Talk, sink: Sink, streams: boolean): Promise<void> => {
  try {
    await (streams ? stream(turn, talk, sink) : whole(talk, sink))
  } catch (error) {
    failed(turn, sink, error, streams)
    if (streams) await turn.reply.flush()
  }
}
