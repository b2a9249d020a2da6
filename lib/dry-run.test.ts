import { expect, it } from 'vitest'
import { memoryHost } from '../test/memory-host.ts'
import { dryHost, type Intent } from './dry-run.ts'

it('a diff of the configuration shows the setting that changed, and not the fingerprint in every line', async () => {
  const file = '/Users/ada/.haproxy/haproxy.cfg'
  const config = (digit: string, log: string) =>
    `setenv CFG_ID ${digit.repeat(64)}\nhttp-request deny lf-file /a/maps/${digit.repeat(12)}/403.json\n${log}\n`
  const said: Intent[] = []
  const host = dryHost(memoryHost({ files: new Map([[file, config('a', 'log off')]]) }), (intent) => said.push(intent))
  await host.write(file, config('b', 'log on'))
  expect(said[0]?.diff?.match(/^[-+](?![-+]).*/gm)).toEqual(['-log off', '+log on'])
})
