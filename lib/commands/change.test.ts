import { describe, expect, it } from 'vitest'
import { jobs, machine, setup } from '../../test/sample.ts'
import { partsOf } from '../parts/index.ts'
import { unseen } from '../parts/models.ts'
import { settingExamples } from '../site/examples.ts'
import { parseSettings, type Settings } from '../site/settings.ts'
import { unexplained } from './change.ts'

const planned = (...ids: string[]) => ids.map((id) => ({ id, title: '', state: 'planned' as const, saw: '', ms: 0 }))
function stepsWith(settings: Settings): string[] {
  const wanted = { ...setup, jobs, settings }
  const steps = partsOf(machine, wanted).flatMap((part) => part.steps(machine, wanted))
  return steps.flatMap((step) => ('apply' in step ? [step.id] : []))
}
const said = (path: string, value: unknown): object =>
  path.split('.').reduceRight<object>((inner, word) => ({ [word]: inner }), value as object)
const left = (...ids: string[]) => unexplained(planned(...ids)).map(({ id }) => id)

describe('what apply.ts leaves to install.ts', () => {
  it('is a missing program, and a gateway that finds no Ollama although both run', () => {
    expect(left('haproxy.package', 'haproxy.config')).toEqual(['haproxy.package'])
    expect(left('haproxy.engine')).toEqual(['haproxy.engine'])
  })

  it('is not what another program is told, which may have come since', () => {
    expect(left('power.restarts')).toEqual([])
  })

  it('is a model that is not there, and none that cannot be seen before Ollama listens on another port', () => {
    const beside = (saw: string) =>
      unexplained([...planned('ollama.service'), ...planned('models.qwen3:0.6b').map((one) => ({ ...one, saw }))])
    expect(beside('not yet')).toHaveLength(1)
    expect(beside(unseen)).toEqual([])
  })

  it('is the program that loads the rules of a firewall, and not the rules', () => {
    expect(left('nftables.package', 'firewall.rules', 'firewall.table')).toEqual(['nftables.package'])
  })

  it('is no wait for what it starts itself', () => {
    expect(left('haproxy.service', 'haproxy.engine')).toEqual([])
    expect(left('ollama.service', 'haproxy.engine')).toEqual([])
  })

  it('is nothing that a setting alone brings, but for programs and models', () => {
    const company = {
      ...{ access: 'keys', tls: { 'ai.example.net': 'own-ca', '*.example.net': 'own-ca' } },
      listeners: { lan: { addresses: ['192.168.1.5'], sources: ['192.168.1.0/24'], port: 8080 } },
    }
    const steps = (more: object = {}) => stepsWith(parseSettings(JSON.stringify({ ...company, ...more }), ''))
    const usual = steps()
    const brought = Object.entries(settingExamples).flatMap(([path, values]) =>
      values.flatMap((value) => steps(said(path, value)).filter((id) => !usual.includes(id))),
    )
    expect(left(...brought).filter((id) => !/\.package$|^models\./.test(id))).toEqual([])
    expect(brought).toEqual(expect.arrayContaining(['haproxy.nodes', 'haproxy.services']))
  })
})
