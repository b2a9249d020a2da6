import type { Look, System } from '../host/host.ts'
import { container } from './container/container.ts'
import { linux } from './linux/linux.ts'
import { mac } from './mac/mac.ts'
import type { Jobs, ListenerFact, Places, Platform, Role, Somebody, Somewhere } from './platform.ts'

const platforms: Record<System, Platform> = { mac, linux, container }

/** The system of a place. */
export const platformOf = ({ system }: Pick<Somewhere, 'system'>): Platform => platforms[system]

/** Where everything of ours lies there. */
export const places = (at: Somewhere): Places => platformOf(at).places(at.home)

/** Names of our jobs there. */
export const labels = (at: Pick<Somewhere, 'system'>): Record<Role, string> => platformOf(at).labels

/** Path of the file that describes a job. */
export const jobPath = (at: Somewhere, label: string): string => platformOf(at).jobFiles.path(at.home, label)

/** The jobs of a user. */
export const jobsOf = (who: Somebody): Jobs => platformOf(who).jobs(who)

/** Everybody who listens on a port, on any address. */
export const listeners = (look: Look, port: number): Promise<ListenerFact[]> =>
  platformOf(look).listeners.on(look, port)
