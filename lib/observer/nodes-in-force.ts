import type { Look } from '../host/host.ts'
import { hasTold } from '../nodes/store.ts'
import { places } from '../platform/here.ts'
import { settingsText } from '../site/given.ts'
import { parseSettings, type Settings, settingsFile } from '../site/settings.ts'

/** The settings whose nodes the running gateway has: those that are written, or, where it has them no longer or not yet, those that were brought in force last. */
export async function nodesInForce(look: Look, written: Settings): Promise<Settings> {
  if (await hasTold(look, written)) return written
  const before = await look.read(places(look).applied)
  if (before === undefined || before === (await settingsText(look, settingsFile(look)))) return written
  const settings = readable(before)
  return settings && (await hasTold(look, settings)) ? settings : written
}

/** Settings of an earlier version may be none of this one's. */
function readable(text: string): Settings | undefined {
  try {
    return parseSettings(text, 'applied.yaml')
  } catch {
    return undefined
  }
}
