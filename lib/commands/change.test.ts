import { describe, expect, it } from 'vitest'
import { unseen } from '../parts/models.ts'
import { unexplained } from './change.ts'

const planned = (...ids: string[]) => ids.map((id) => ({ id, title: '', state: 'planned' as const, saw: '', ms: 0 }))
const left = (...ids: string[]) => unexplained(planned(...ids)).map(({ id }) => id)

describe('what apply.ts leaves to install.ts', () => {
  it('is a missing program, and a gateway that finds no Ollama although both run', () => {
    expect(left('haproxy.package', 'haproxy.config')).toEqual(['haproxy.package'])
    expect(left('haproxy.engine')).toEqual(['haproxy.engine'])
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
})
