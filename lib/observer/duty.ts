import type { Host } from '../host.ts'

/** Something that the observer does again and again, ms apart, never two runs of it at once. */
export interface Duty {
  name: string
  everyMs: number
  run(host: Host): Promise<void>
}
