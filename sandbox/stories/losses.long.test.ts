import { readFileSync, rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { withProbeKeys } from '../../lib/gateway/proofs/probes.ts'
import { cutStreams } from '../../lib/haproxy/cut.ts'
import { runningMap } from '../../lib/haproxy/runtime.ts'
import { streams } from '../../lib/haproxy/streams.ts'
import { workersOf } from '../../lib/haproxy/workers.ts'
import { labels, places } from '../../lib/platform/mac/places.ts'
import { eventually } from '../lab/gateway.ts'
import { entry } from '../lab/losses.ts'
import { setFaults } from './installed.ts'
import { currentOf, lossyFor, secrets, twoWorkers } from './losing.ts'
import { longChat, openStream } from './stream.ts'
import { cannot, installed, job, at as placesOf, quickBox, run, titled } from './witness.ts'

// What follows waits for what the product waits for, ten seconds and more: side by side.
describe.concurrent('where nothing that is handed over arrives', () => {
  test('a change names the earlier worker in which it does not hold, and holds in the current one', async (context) => {
    const at = await twoWorkers(context, 1)
    delete at.registry.keys.bob
    await expect(at.keep()).rejects.toThrow(
      /^not in force: worker \d+, which finishes answers that began before the reload \d+ s ago, did not confirm it within \d0 s; it takes no new requests, and ends with those answers\.$/,
    )
    expect(await at.ask(secrets.bob)).toBe(401)
  })

  test('the proof runs with its keys all the same, and takes them back', async (context) => {
    const at = await twoWorkers(context, 1)
    const status = await withProbeKeys(at.machine, at.gateway.gateway.settings, async (keys) =>
      at.ask(keys?.free ?? ''),
    )
    expect(status).toBe(200)
    expect((await runningMap(at.machine, 'keys/keys.map'))?.size).toBe(2)
  })

  test('what runs in an earlier worker is unknown, and not nothing', async (context) => {
    const at = await twoWorkers(context, 1)
    await expect(streams(at.machine)).rejects.toThrow(/^unknown: worker \d+, which finishes .* did not answer within/)
    await expect(cutStreams(at.machine, 'bob')).rejects.toThrow(/^not in force: worker \d+/)
  })
})

test.concurrent('a change that does not reach the worker stands in every file all the same, for those who come', async (context) => {
  const at = await lossyFor(context, 3, secrets)
  const pid = await currentOf(at)
  process.kill(Number(pid), 'SIGSTOP')
  try {
    at.registry.keys.carol = { ...entry(secrets.carol), perDay: { seconds: 60 } }
    await expect(at.keep()).rejects.toThrow('not in force: ')
    expect(readFileSync(`${places(at.machine.home).keyMaps}/budgets.map`, 'utf8')).toBe('carol 60|0\n')
  } finally {
    process.kill(Number(pid), 'SIGCONT')
  }
})

interface Master {
  pid: number
  home: string
}

test.concurrent.for<[how: string, harm: (master: Master) => void, mend: (master: Master) => void]>([
  ['that stands still', ({ pid }) => process.kill(pid, 'SIGSTOP'), ({ pid }) => process.kill(pid, 'SIGCONT')],
  ['whose socket somebody removed', ({ home }) => rmSync(places(home).masterSocket), () => {}],
])(
  'a master %s keeps no revoked key alive, and what it has is not taken for nothing',
  async ([, harm, mend], context) => {
    const at = await lossyFor(context, 3, secrets)
    const master = { pid: at.gateway.master.pid ?? 0, home: at.machine.home }
    // The master makes its socket anew when it has started its first worker; one that answers has done so.
    await workersOf(at.machine)
    harm(master)
    try {
      delete at.registry.keys.bob
      await expect(at.keep()).rejects.toThrow('not in force: HAProxy’s master process does not name its workers')
      expect(await at.ask(secrets.bob)).toBe(401)
      await expect(streams(at.machine)).rejects.toThrow('unknown: HAProxy’s master process')
    } finally {
      mend(master)
    }
  },
)

// By itself: among others that end processes it was seen to be woken by one of them.
test('an earlier worker that stands still is named within the time that is said', async (context) => {
  const at = await twoWorkers(context, 1000)
  // One without a stream may be about to end.
  const current = await currentOf(at)
  const earlier = (await streams(at.machine)).find(({ pid }) => pid !== current)?.pid
  process.kill(Number(earlier), 'SIGSTOP')
  const began = performance.now()
  try {
    await expect(streams(at.machine)).rejects.toThrow(`unknown: worker ${earlier}, which finishes`)
    expect(performance.now() - began).toBeLessThan(50_000)
  } finally {
    process.kill(Number(earlier), 'SIGCONT')
  }
})

test.concurrent('a current worker that has stopped answering is named, and nothing is said to hold', async (context) => {
  const at = await lossyFor(context, 3, secrets)
  const pid = await currentOf(at)
  process.kill(Number(pid), 'SIGSTOP')
  try {
    delete at.registry.keys.bob
    const said = at.keep()
    await expect(said).rejects.toThrow(`not in force: the gateway (worker ${pid}) did not confirm it within `)
    await expect(said).rejects.toThrow(/ \d0 s \(nobody answers on its socket\); see npx tsx status\.ts\.$/)
  } finally {
    process.kill(Number(pid), 'SIGCONT')
  }
  await eventually('it answers again', async () => (await at.ask(secrets.carol)) === 200)
})

test.skipIf(cannot)(
  titled(
    'keys.ts revoke says that it is not in force, and ends with 5, where an earlier worker hears nothing; uninstall.ts removes the gateway all the same',
  ),
  { concurrent: true },
  async () => {
    const box = await quickBox({ mac: { xnu: { loses: 1 } } })
    try {
      box.write(placesOf(box).settings, 'models: [tiny-loop]\naccess: keys\n', 0o600)
      await installed(box)
      setFaults(box, { tokenDelayMs: 100 })
      const { key } = JSON.parse((await run(box, 'keys.ts', 'add', 'bob', '--json')).stdout) as { key: string }
      const stream = await openStream(box, longChat(2000), { headers: { authorization: `Bearer ${key}` } })
      await stream.sees('w03')
      box.write(placesOf(box).settings, 'models: [tiny-loop]\naccess: keys\nqueue: { max: 40 }\n', 0o600)
      expect((await run(box, 'apply.ts')).code).toBe(0)
      const revoked = await run(box, 'keys.ts', 'revoke', 'bob')
      expect(revoked.stderr).toMatch(/^The change is kept, but not in force: worker \d+, which finishes answers/)
      expect(revoked.stdout).toContain(
        'The key for bob is revoked, but may still count in the running gateway. Answers that run go on; --cut ends them.',
      )
      expect(revoked.code).toBe(5)
      const asked = await box.http('laptop', {
        path: '/v1/models',
        headers: { host: `${box.address}:${box.port}`, authorization: `Bearer ${key}` },
      })
      expect(asked.status).toBe(401)
      expect((await run(box, 'uninstall.ts', '--yes')).code).toBe(0)
      expect(await job(box, labels.gateway)).toBeUndefined()
      stream.hangUp()
    } finally {
      await box.close()
    }
  },
)
