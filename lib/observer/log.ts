import { quietPaths } from '../gateway/policies/log.ts'
import { append } from '../host/appended.ts'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import type { Ended } from './ended.ts'

/** Bytes after which the log is begun anew; one older file stays. */
const most = 5_000_000

/** Whether this setting of the log wants a request; what is refused all day long and harms nobody is no error. */
export function wanted(level: Settings['log'], { end, status, path }: Ended): boolean {
  if (level !== 'errors') return level === 'requests'
  return (end !== 'done' || status >= 400) && !quietPaths.includes(path)
}

/** Writes requests to the log that people read, one JSON object a line; the file is there from the first request on, whether it is wanted or not. */
export async function writeLog(host: Host, requests: Ended[]): Promise<void> {
  const file = places(host).requestLog
  if (((await host.stat(file))?.size ?? 0) > most) await host.move(file, `${file}.1`)
  await append(file, requests.map((request) => `${JSON.stringify(request)}\n`).join(''))
}

/** What the log holds already, by the requests' own ids: an observer that was killed may have written requests whose count it had not kept, and they are read again. */
export async function writtenIds(look: Look): Promise<Set<string>> {
  const file = places(look).requestLog
  const texts = await Promise.all([`${file}.1`, file].map((one) => look.read(one)))
  return new Set(texts.flatMap((text = '') => [...text.matchAll(/"id":"([^"]+)"/g)].map(([, id = '']) => id)))
}
