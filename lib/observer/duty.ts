import type { Host } from '../host.ts'

/** Something that the resident helper does again and again. What it throws is told, and the next round comes all the same. */
export interface Duty {
  name: string
  everyMs: number
  run(host: Host): Promise<void>
}
