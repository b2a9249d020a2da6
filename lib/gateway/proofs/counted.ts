import { statOf } from '../../haproxy/runtime.ts'
import type { Look } from '../../host/host.ts'
import { exempt } from '../../people/records.ts'
import { places } from '../../platform/here.ts'
import type { Endpoint } from '../../site/endpoints.ts'
import { type Check, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { ofFirst, told } from './limited.ts'
import { busy, probe, probeModel, taken } from './refused.ts'
import { bearer, type Target } from './target.ts'

const show = async (look: Look, what: string): Promise<string> =>
  (await look.ask(places(look).adminSocket, `show ${what}`)) ?? ''

/** How many requests a stick table has counted (its general counter), in the rows that are meant. */
async function counted(look: Look, table: string, meant: (row: string) => boolean): Promise<number> {
  const rows = (await show(look, `table ${table}`)).split('\n').filter(meant)
  return rows.reduce((sum, row) => sum + Number(/gpc0=(\d+)/.exec(row)?.[1] ?? 0), 0)
}

/** A limit that everybody shares: a row that it holds for, its counter, its name in the settings, and the words of its refusal. */
export interface Sharing {
  row: Endpoint
  counter: string
  called: string
  says: string
}

/** What everybody shares cannot be used up here without refusing others; that it is counted can be seen. */
export const sharedCounted = (target: Target, { row, counter, called, says }: Sharing): Check => ({
  id: `limits.${called}`,
  title: `Requests count in what everybody shares (limits.${called})`,
  needs: ['haproxy.service'],
  async check(look) {
    const count = () => counted(look, 'together', (line) => line.includes(` key=${counter} `))
    const before = await count()
    const answer = await probeModel(look, target, row, bearer(target, 'shared'))
    if (await busy(look, answer)) return taken
    if (answer.status === 429 && answer.body.includes(says)) return ok('used up, and 429 says so')
    if (answer.status === 429) return skipped('another limit is used up')
    return (await count()) > before ? ok('counted') : missed(`${told(answer)}, and not counted`, unexplained)
  },
})

/** The row of this machine's address under the name that keeps its owner's own from being used up. */
const named = new RegExp(` key=${exempt}[0-9a-f.:]+ `)

/** Where no key is asked for, the owner's own limits hold for each address; this machine's is one of them. */
export const addressCounted = (target: Target): Check[] =>
  ofFirst(target, (row) => [
    {
      id: 'limits.address',
      title: 'A request without a key counts for its address',
      needs: ['haproxy.service'],
      async check(look) {
        const count = () => counted(look, 'people', (line) => named.test(line))
        const before = await count()
        const answer = await probeModel(look, target, row, { authorization: '' })
        if (await busy(look, answer)) return taken
        if (answer.status === 429) return ok('used up, and 429 says so')
        return (await count()) > before ? ok('counted') : missed(`${told(answer)}, and not counted`, unexplained)
      },
    },
  ])

/** One wrong key of the many that an address may send before it is banned. */
export const wrongCounted = (target: Target): Check => ({
  id: 'keys.counted',
  title: 'A wrong API key counts against the address that sent it',
  needs: ['haproxy.service'],
  async check(look) {
    const count = () => counted(look, 'strangers', () => true)
    const before = await count()
    const answer = await probe(look, target, 'GET', '/v1/models', { authorization: 'Bearer rop_unknown' })
    if (answer.status === 429) return ok('this address is banned already')
    return (await count()) > before ? ok('counted') : missed(`${told(answer)}, and not counted`, unexplained)
  },
})

/** That no more requests are handed to Ollama at once than the settings say. */
export const slots = (wanted: number): Check => ({
  id: 'queue.slots',
  title: `At most ${wanted} requests are with Ollama at once`,
  needs: ['haproxy.service'],
  async check(look) {
    const limit = (await statOf(look, 'engine'))?.slim
    return limit === `${wanted}` ? ok(`${limit}`) : missed(`${limit ?? 'no such server'}`, unexplained)
  },
})

/** That the counters are shared with the worker that a reload brings. */
export const handedOver = (): Check => ({
  id: 'limits.handed-over',
  title: 'Rates outlive a reload: the worker shares its counters with its successor',
  needs: ['haproxy.service'],
  async check(look) {
    const said = await show(look, 'peers')
    return /\bid=gateway\b/.test(said) && /\bpeople\b/.test(said) ? ok('shared') : missed('not shared', unexplained)
  },
})
