import { expect, it } from 'vitest'
import { jobs, machine, setup } from '../../test/sample.ts'
import { parseSettings } from '../site/settings.ts'
import { haproxy } from './haproxy.ts'
import { freezes } from './haproxy-program.ts'

it.each([
  ['2.6.12', false],
  ['3.0.11', false],
  ['3.1.0', true],
  ['3.1.8', true],
  ['3.1.9', false],
  ['3.2.0', true],
  ['3.2.4', true],
  ['3.2.5-1', false],
  ['3.3.0', false],
  ['3.4.7', false],
])('HAProxy %s freezes at reloads on macOS: %s', (version, wanted) => {
  expect(freezes(version)).toBe(wanted)
})

it('nodes are asked what they have before lists of models are made from that', () => {
  const settings = parseSettings('role: gateway\nnodes: { gpu: { address: 192.0.2.7 } }', 'settings.yaml')
  const ids = haproxy.steps(machine, { ...setup, jobs, settings }).map(({ id }) => id)
  expect(ids.filter((id) => ['haproxy.keys', 'haproxy.nodes', 'haproxy.config'].includes(id))).toEqual([
    'haproxy.nodes',
    'haproxy.keys',
    'haproxy.config',
  ])
})
