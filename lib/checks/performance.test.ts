import { describe, expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import { performance } from './performance.ts'

const target = {
  ...{ address: '100.64.0.1', port: 11434, host: '100.64.0.1:11434' },
  engine: { address: '127.0.0.1', port: 11434 },
  groups: ['metadata' as const],
}

/** What is found where each side takes so many ms, and its connection so many of them. */
async function found(direct: [number, number], proxied: [number, number]) {
  const host = memoryHost()
  host.probe = async ({ address }) => {
    const [ms, connectMs] = address === target.address ? proxied : direct
    return { end: 'complete', status: 200, headers: {}, body: '{}', pieces: [], ms, connectMs }
  }
  return performance(target)[0]?.check(host)
}

describe('the cost of the gateway', () => {
  it('is what is left when the way to the address is taken off twice: to connect, and to be answered', async () => {
    expect(await found([1, 0.1], [7.5, 3.1])).toEqual({
      is: 'ok',
      saw: 'adds 0.50 ms (directly p50 1.00 ms, p99 1.00 ms; through the gateway p50 7.50 ms, p99 7.50 ms, of which Tailscale’s way to this machine’s own address takes 6.00 ms)',
    })
  })

  it('is not hidden by a long way', async () => {
    expect(await found([1, 0.1], [9.1, 3.1])).toMatchObject({
      is: 'missed',
      saw: expect.stringContaining('adds 2.10 ms'),
    })
  })

  it('is not raised by a connection that happened to be quicker than that to Ollama', async () => {
    expect(await found([1, 0.3], [1.9, 0.1])).toMatchObject({ is: 'ok', saw: expect.stringContaining('adds 0.90 ms') })
  })
})
