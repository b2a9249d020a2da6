import { expect, test } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { machine, setup } from '../../test/sample.ts'
import type { Step } from '../steps/step.ts'
import { power } from './power.ts'

const linux = { ...machine, home: '/root', system: 'linux' as const }
const file = '/etc/needrestart/restart.d/remote-ollama-proxy-gateway.service'
const steps = (at = linux) => power.steps(at, setup).filter(({ id }) => id === 'power.restarts') as Step[]

test('where libraries are renewed by needrestart it is told to reload the gateway, and elsewhere nothing is written', async () => {
  const [step] = steps()
  expect(await step?.check(memoryHost())).toEqual({ is: 'ok', saw: 'needrestart is not here' })
  const host = memoryHost({ files: new Map([['/etc/needrestart/needrestart.conf', '']]) })
  expect(await step?.check(host)).toMatchObject({ is: 'missed' })
  await step?.apply(host)
  expect(host.files.get(file)).toMatch(/^#!\/bin\/sh\n[\s\S]*--signal=SIGUSR2 remote-ollama-proxy-gateway\.service\n$/)
  await step?.undo?.(host)
  expect(host.files.has(file)).toBe(false)
})

test('a Mac has nobody who would restart it', () => {
  expect(steps(machine as typeof linux)).toEqual([])
})
