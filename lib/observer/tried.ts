import type { Host, Look } from '../host/host.ts'
import { places, platformOf } from '../platform/here.ts'

const file = (look: Look): string => `${places(look).state}/notified`

/** The day on which a notification was tried here; undefined where none was. */
export const triedOn = async (look: Look): Promise<string | undefined> =>
  (await look.read(file(look)))?.trim() || undefined

/** Sends one as alerts are sent, the first time only; tells whether it did. */
export async function tryNotification(host: Host): Promise<boolean> {
  const { notify } = platformOf(host).facts
  if (!notify || (await triedOn(host)) !== undefined) return false
  const text = 'This is how you are told when something here is wrong.'
  const sent = await notify(host, 'remote-ollama-proxy', text).then(
    () => true,
    () => false,
  )
  if (sent) await host.write(file(host), `${new Date().toISOString().slice(0, 10)}\n`)
  return sent
}
