import { statOf } from '../../haproxy/runtime.ts'
import type { Look, RawAnswer } from '../../host/host.ts'
import { places } from '../../platform/here.ts'
import { type Check, missed, ok, unexplained } from '../../steps/step.ts'
import { busy, probe, taken } from './refused.ts'
import { bearer, modelRows, type Target } from './target.ts'

/** How many requests the loading slot has had. */
const had = async (look: Look): Promise<number> => Number((await statOf(look, 'loading'))?.stot ?? 0)

/** That a model which is not in memory goes the way of its own; Ollama says at once that there is none of this name. */
export const loadingSlot = (target: Target): Check[] =>
  modelRows(target)
    .slice(0, 1)
    .map((row) => ({
      id: 'loading.slot',
      title: 'A request for a model that is not in memory goes through the loading slot',
      needs: ['haproxy.service', 'ollama.service', 'observer.service'],
      async check(look) {
        const before = await had(look)
        let last: RawAnswer | undefined
        const ask = () =>
          look.probe({
            ...{ address: target.address, port: target.port, method: row.method, target: row.path },
            headers: { host: target.host, 'content-type': 'application/json', ...bearer(target) },
            body: '{"model":"no-such-model"}',
          })
        // An observer that has just begun has not said yet what is loaded.
        const through = await look.until('the slot is used', 5000, async () => {
          last = await ask()
          return (await had(look)) > before
        })
        if (!through && last && (await busy(look, last))) return taken
        return through ? ok('it does') : missed('past the slot', unexplained)
      },
    }))

/** That a request is written down under the id that its client is told. */
export const writtenDown = (target: Target): Check => ({
  id: 'log.line',
  title: 'A request is written down under the id that its client got',
  needs: ['haproxy.service', 'observer.service'],
  async check(look) {
    const { headers } = await probe(look, target, 'GET', '/api/version')
    const id = headers['x-request-id']
    if (!id) return missed('the answer has no x-request-id', unexplained)
    const { access } = places(look)
    const found = await look.until('its line is there', 5000, async () => {
      const texts = await Promise.all([access, `${access}.1`].map((file) => look.read(file)))
      return texts.some((text) => text?.includes(`"id":"${id}"`))
    })
    return found ? ok(id) : missed(`nothing of ${id}`, unexplained)
  },
})
