import type { Reply } from './reply.ts'
import type { Request } from './request.ts'
import type { Scheduler } from './scheduler.ts'
import type { Settings } from './settings.ts'
import type { Store } from './store.ts'

/** What every handler needs of the server. */
export interface Server {
  box: string
  settings: Settings
  store: Store
  scheduler: Scheduler
  /** Fixed when the server starts: an upgrade on disk shows after a restart. */
  version: string
}

/** One request on its way. */
export interface Turn {
  server: Server
  request: Request
  reply: Reply
  /** The part of the path that a route names (`:model`). */
  param: string
}

export type Handler = (turn: Turn) => Promise<void>
