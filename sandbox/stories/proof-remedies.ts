import { expect } from 'vitest'
import { policies } from '../../lib/gateway/policies/index.ts'
import { groups } from '../../lib/site/endpoints.ts'
import { openGroups } from '../../lib/site/settings.ts'
import type { Box } from '../box/box.ts'
import { checkout } from '../box/paths.ts'
import { describe } from '../lab/gateway.ts'
import { eventually } from './await.ts'
import { worker } from './installed.ts'
import { shown, typed } from './remedies.ts'
import { at, pids, told } from './witness.ts'

/** Settings under which each proof that any HAProxy allows is asked for, but for those of `byAddress` and `newer`. */
export const usual = 'access: either\npeople: { ann@example.com: { models: [qwen3*] } }\n'
/** Where nobody needs a key. */
export const byAddress = 'access: tailnet\nlimits: { per_minute: 600, per_day: 2h }\n'
/** What needs HAProxy 3.0. */
export const newer =
  'access: keys\nlimits: { per_second: 1MB, all: { per_minute: 600 }, groups: { anthropic: { burst: 20, per_second: 2MB } }, rows: { "POST /v1/messages": { burst: 20 } } }\n'

/** The ids of all proofs that these settings have. */
export function proofIds(settings: string): string[] {
  const gateway = describe(
    '/Users/ada',
    { name: 'tailnet', addresses: ['100.64.0.1'], port: 11434, sources: [] },
    settings,
  )
  const target = {
    ...{ address: '100.64.0.1', port: 11434, host: '100.64.0.1:11434' },
    engine: { address: '127.0.0.1', port: 11434 },
    groups: openGroups(gateway.settings),
    model: { name: 'tiny', capabilities: ['completion'] },
  }
  return policies(gateway)
    .flatMap(({ proof }) => proof?.(target) ?? [])
    .map(({ id }) => id)
}

const named = new RegExp(`^refused\\.(${Object.keys(groups).join('|')})$`)

/** Proofs that differ by a row or a group alone are of one kind. */
export const kindOf = (id: string): string =>
  id
    .replace(/^rows\..*/, 'rows')
    .replace(named, 'refused.group')
    .replace(/^bandwidth\.(?!person).*/, 'bandwidth.group')

/** What the promises of the proofs stand on in haproxy.cfg: every refusal and every answer of its own, what counts, and what leads elsewhere. */
const taken = [
  /^ +http-request (deny|return) .*\n/gm,
  /^ +http-request sc-inc-gpc.*\n/gm,
  /^ +(use_backend (connect|lists)|use-server loading|log stdout|http-request set-timeout server|filter bwlim-out) .*\n/gm,
  /^ +http-request (set-var-fmt\(txn\.stream\)|set-var\(txn\.row\) str\(openai).*\n/gm,
  /^ +http-(request|response) set-bandwidth-limit .*\n/gm,
  / peers state$/gm,
  /(?<=^ +server engine .*) maxconn \d+/gm,
]

/** Rules are taken out by hand, HAProxy reads that, and the file is put back: it is right then, and the gateway is not. */
async function ruledOut(box: Box): Promise<void> {
  const text = box.read(at(box).config)
  box.write(
    at(box).config,
    taken.reduce((rest, line) => rest.replace(line, ''), text),
    0o600,
  )
  const { master, worker } = await pids(box)
  await box.run(['kill', '-USR2', `${master}`])
  await eventually('another worker answers', async () => ![worker, undefined].includes((await pids(box)).worker))
  box.write(at(box).config, text, 0o600)
}

/** The running worker is told on its socket that no path is open. */
async function closed(box: Box): Promise<void> {
  const [, id = ''] = /^(\d+) \(.*\/routes\.map\)/m.exec(await worker(box, 'show map')) ?? []
  await worker(box, `clear map #${id}`)
}

/** Ways in which a gateway does otherwise than its files say. */
export const causes: Record<string, (box: Box) => Promise<void>> = { ruledOut, closed }

/** Does each of the causes, walks the remedies of all that is missed then, and gives what was missed. */
export async function walked(box: Box, ids: string[], by = Object.values(causes)): Promise<string[]> {
  const seen = new Set<string>()
  for (const cause of by) {
    await cause(box)
    const misses = (await shown(box, ids)).filter(({ state }) => state === 'missed')
    for (const command of new Set(misses.map(({ remedy = '' }) => typed(remedy)))) {
      const outcome = await box.run(['sh', '-c', command], { cwd: checkout })
      expect(outcome.code, `${command}\n${told(outcome)}`).toBe(0)
    }
    expect((await shown(box, ids)).filter(({ state }) => state !== 'ok')).toEqual([])
    for (const { id } of misses) seen.add(id)
  }
  return [...seen]
}
