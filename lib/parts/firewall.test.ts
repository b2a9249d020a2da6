import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { machine, setup } from '../../test/sample.ts'
import { packetFilter } from '../platform/linux/nftables.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { isStep } from '../steps/step.ts'
import { firewall } from './firewall.ts'

const linux = { ...machine, system: 'linux' as const }
const unit = readFileSync(`templates/${packetFilter.unit}`, 'utf8')
const of = (yaml: string): Setup => ({
  ...setup,
  settings: parseSettings(yaml, 'settings.yaml'),
  jobs: { [packetFilter.unit]: unit },
})
const on = of('firewall: on')

test('a Mac says in one sentence that it has none, and nothing of it is there unless the settings ask', async () => {
  const [first, ...more] = firewall.steps(machine, on)
  expect(more).toEqual([])
  expect([first?.exit, await first?.check(memoryHost())]).toEqual([
    3,
    {
      is: 'missed',
      saw: 'firewall: on needs nftables, which this system does not have',
      remedy: 'Set firewall: off.',
    },
  ])
  for (const here of [machine, linux]) expect(firewall.steps(here, of(''))).toEqual([])
})

test('what is left of it goes when the settings no longer ask', async () => {
  const rules = firewall.steps(linux, on).find(({ id }) => id === 'firewall.rules')
  const host = { ...memoryHost(), system: 'linux' as const }
  if (!rules || !isStep(rules)) throw new Error('there are no rules')
  await rules.apply(host)
  const left = firewall.steps(linux, { ...of(''), receipt: on.receipt })
  expect(left.map(({ id }) => id)).toEqual(['firewall.rules', 'firewall.job', 'firewall.service', 'firewall.table'])
  const [first] = left
  if (!first || !isStep(first)) throw new Error('nothing is to be taken back')
  expect((await first.check(host)).is).toBe('missed')
  await first.apply(host)
  expect((await first.check(host)).is).toBe('skipped')
})

test.each([
  ['ufw', [], 'ok'],
  ['ufw', [['/etc/ufw/ufw.conf', 'ENABLED=yes\n']], 'advice'],
  ['ufw', [['/etc/ufw/ufw.conf', 'ENABLED=no\n']], 'ok'],
  ['docker', [], 'ok'],
  ['docker', [['/run/docker.sock', '']], 'advice'],
] as const)('%s beside it is told where it is: %j', async (who, files, is) => {
  const check = firewall.steps(linux, on).find(({ id }) => id === `firewall.${who}`)
  const look = {
    ...memoryHost({ files: new Map(files.map(([file, text]) => [file, text])) }),
    system: 'linux' as const,
  }
  expect((await check?.check(look))?.is).toBe(is)
})
