import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What goes wrong on purpose. Read from `<box>/ollama-faults.json` again for each request, so a test may change it
 * while the server runs. All times are milliseconds, all counts are tokens of one answer.
 */
export interface Faults {
  /** Pause before each token after the first (1 when not set). */
  tokenDelayMs?: number
  /** How long a cold model takes to load (40 when not set). */
  loadDelayMs?: number
  /** Silence before the first token of a loaded model (5 when not set). */
  silentMs?: number
  /** The model process dies: streams end cleanly without a finish, others get 500; the next request loads again. */
  runnerDies?: { afterTokens: number }
  /** A pause in the middle of an answer. */
  stalls?: { afterTokens: number; ms: number }
  /** An answer stands still after so many tokens until the file no longer says so. */
  holds?: { afterTokens: number }
  /** The connection is cut without an end of the body. */
  cuts?: { afterTokens: number }
  /** Every load fails with `unable to load model: <path>`. */
  loadFails?: boolean
  /** Every load fails because the separate runner program is missing (0.30 and newer). */
  noLlamaServer?: boolean
  /** Every request to an inference route is answered 500 with this text. */
  http500?: string
  /** Every request is answered with this status and an empty body, before routing. */
  status?: number
  /** The server starts to listen only this long after its start. */
  refuseStartMs?: number
  /** `serve` writes this to stderr and ends with exit code 1. */
  diesAtStart?: string
  /** A pull stops with an error line after this share (0 to 1) of the bytes. */
  pullFailsAt?: number
  /** The registry cannot be reached. */
  offline?: boolean
  /** How long one pull takes (500 when not set). */
  pullMs?: number
  /** Models whose files are of one second are listed in another order at each call. */
  anyOrder?: boolean
  /** Requests are not written to `<box>/ollama-requests.jsonl` (for measurements). */
  unrecorded?: boolean
}

export const readFaults = (box: string): Faults => {
  try {
    return JSON.parse(readFileSync(join(box, 'ollama-faults.json'), 'utf8')) as Faults
  } catch {
    return {}
  }
}

/** The version the box pretends: `<box>/ollama-version`, else the one of the transcripts. */
export const versionOf = (box: string): string => {
  try {
    return readFileSync(join(box, 'ollama-version'), 'utf8').trim() || '0.24.0'
  } catch {
    return '0.24.0'
  }
}
