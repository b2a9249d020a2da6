import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { dryHost, type Intent } from './dry-run.ts'

const proxy = '/Users/ada/.haproxy'
const config = (digit: string, log: string) =>
  `setenv CFG_ID ${digit.repeat(64)}\nhttp-request deny lf-file ${proxy}/maps/${digit.repeat(12)}/403.json\n${log}\n`
const inFolder = (digit: string) => `${proxy}/maps/${digit.repeat(12)}/origins.lst`

/** The lines that a write would change. */
async function changes(file: string, text: string): Promise<string[]> {
  const files = new Map([
    [`${proxy}/haproxy.cfg`, config('a', 'log off')],
    [inFolder('a'), 'one\n'],
  ])
  const said: Intent[] = []
  await dryHost(memoryHost({ files }), (intent) => said.push(intent)).write(file, text)
  return said.flatMap(({ diff }) => diff?.match(/^[-+](?![-+]).*/gm) ?? [])
}

describe('a dry run’s diff', () => {
  it('shows the setting that changed, and not the fingerprint in every line', async () => {
    expect(await changes(`${proxy}/haproxy.cfg`, config('b', 'log on'))).toEqual(['-log off', '+log on'])
    expect(await changes(`${proxy}/haproxy.cfg`, config('b', 'log off'))).toEqual([])
  })

  it('shows a list that changed beside the configuration in use', async () => {
    expect(await changes(inFolder('b'), 'one\ntwo\n')).toEqual(['+two'])
    expect(await changes(inFolder('b'), 'one\n')).toEqual([])
  })
})
