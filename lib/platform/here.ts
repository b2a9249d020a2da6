import type { Look } from '../host/host.ts'
import { mac } from './mac/mac.ts'
import { labels, oldLogs } from './mac/places.ts'
import type { Jobs, ListenerFact, Places, Platform, Somebody, Somewhere } from './platform.ts'

export { labels, oldLogs }

/** The system of a place. So far every one is a Mac's. */
export const platformOf = (_at: Somewhere): Platform => mac

/** Where everything of ours lies under a home. */
export const places = (at: Somewhere): Places => platformOf(at).places(at.home)

/** Path of the file that describes a job. */
export const jobPath = (at: Somewhere, label: string): string => platformOf(at).jobFiles.path(at.home, label)

/** The jobs of a user. */
export const jobsOf = (who: Somebody): Jobs => platformOf(who).jobs(who)

/** Everybody who listens on a port, on any address. */
export const listeners = (look: Look, port: number): Promise<ListenerFact[]> =>
  platformOf(look).listeners.on(look, port)
