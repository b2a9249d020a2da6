import { renewLists } from '../../people/store.ts'
import type { Settings } from '../../site/settings.ts'
import type { Duty } from '../duty.ts'

/** Keeps the lists of keys with models in step with what is installed, however it came or went. */
export const lists = (settings: () => Settings): Duty => ({
  name: 'lists',
  everyMs: 10_000,
  run: (host) => renewLists(host, settings()),
})
