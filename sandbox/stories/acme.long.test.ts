import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { judge } from '../../lib/certificates/judge.ts'
import { first, memories, renew } from '../../lib/certificates/renew.ts'
import { heldFor, pemFile, shownFor } from '../../lib/certificates/served.ts'
import { swap } from '../../lib/certificates/swap.ts'
import type { Host } from '../../lib/host/host.ts'
import { certificate, issued, type Made } from '../../test/certificates.ts'
import { freePort, names } from '../lab/gateway.ts'
import { type Recorder, startRecorder } from '../lab/recorder.ts'
import { running, type Secured, secured } from '../lab/secured.ts'
import { type Authority, ordering, startAuthority } from '../services/authority.ts'

const [name = ''] = names
const day = 86_400_000
let engine: Recorder
let authority: Authority
let at: Secured
let host: Host
let httpPort: number
let stops: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  httpPort = await freePort('127.0.0.1')
  ;[engine, authority] = await Promise.all([startRecorder(), startAuthority({ httpPort })])
  at = await secured({ enginePort: engine.port }, { [name]: issued([name]).pem })
  host = authority.beside(at.gateway.machine)
})
afterEach(async () => {
  for (const stop of stops) await stop()
  stops = []
})
afterAll(async () => {
  await at?.gateway.stop()
  await authority?.stop()
  await engine?.stop()
})

const shown = async () => (await shownFor(host, name)).map(({ facts }) => facts?.serial)

/** Serves what is due: ten days of ninety are left. */
async function due(): Promise<string> {
  const pair = judge(issued([name], { begins: -80 * day, days: 10 }).pem, { name, source: 'a test' })
  await swap(host, name, pair)
  return pair.serial
}

/** A directory that refuses every account in these words of RFC 8555. */
async function refusing(root: Made, own: Made, problem: { status: number; type: string; detail: string }) {
  const port = await freePort('127.0.0.1')
  const base = `https://localhost:${port}`
  const server: Server = createServer({ cert: own.certificate, key: own.key }, (asked, answer) => {
    answer.setHeader('replay-nonce', `${Math.random()}`.slice(2))
    if (asked.url === '/dir') {
      const urls = {
        newNonce: `${base}/nonce`,
        newAccount: `${base}/account`,
        newOrder: `${base}/order`,
        revokeCert: `${base}/r`,
        keyChange: `${base}/k`,
      }
      answer.setHeader('content-type', 'application/json').end(JSON.stringify(urls))
    } else if (asked.url === '/nonce') answer.end()
    else {
      const { status, type, detail } = problem
      answer.writeHead(status, { 'content-type': 'application/problem+json' })
      answer.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, status }))
    }
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  stops.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  const ca = join(host.home, 'other-ca.pem')
  writeFileSync(ca, root.certificate)
  return { ...authority, directory: `${base}/dir`, ca }
}

describe('an authority gives one', () => {
  test.each([['lab.test'], ['*.lab.test'], ['xn--bcher-kva.lab.test']])(
    'for %s by DNS, after a try with the staging authority',
    async (wanted) => {
      const settings = ordering(
        authority,
        host,
        { [wanted]: 'acme' },
        { dns: 'exec', staging: `${authority.directory}?staging` },
      )
      expect(await renew(host, settings, wanted)).toBe(true)
      expect((await heldFor(host, wanted))?.names).toEqual([wanted])
      expect(await host.list(`${authority.kept(host)}`)).toHaveLength(2)
    },
  )

  test('by HTTP through port 80 of the public addresses, which begins with a placeholder', async ({ skip }) => {
    skip(process.getuid?.() !== 0, 'only root may listen on port 80')
    const address = `127.201.${1 + (process.pid % 250)}.7`
    const by = await startAuthority({ httpPort: 80, address })
    stops.push(() => by.stop())
    const wanted = 'http.lab.test'
    const port = await freePort('127.0.0.1')
    const tls = { [wanted]: 'acme' } as const
    const acme = { port, ca: by.ca, directory: by.directory, email: 'ann@lab.test' }
    const yaml = JSON.stringify({ tls, acme, listeners: { public: { addresses: [address], port: 8443 } } })
    const through = await secured(
      {
        enginePort: engine.port,
        settings: yaml
          .slice(1, -1)
          .replaceAll(/"(tls|acme|listeners)":/g, '\n$1: ')
          .replaceAll(/,\n/g, '\n'),
      },
      { [wanted]: issued([wanted]).pem },
    )
    stops.push(() => through.gateway.stop())
    const beside = by.beside(through.gateway.machine)
    await beside.remove(pemFile(beside, wanted))
    const { settings } = through.gateway.gateway
    await first(beside, settings, wanted)
    expect((await heldFor(beside, wanted))?.leaf.subject).toMatch(/placeholder/)
    expect(await renew(beside, settings, wanted)).toBe(true)
    expect((await heldFor(beside, wanted))?.leaf.issuer).toMatch(/Pebble/)
    expect((await shownFor(beside, wanted)).at(-1)?.facts?.leaf.issuer).toMatch(/Pebble/)
    for (const target of ['/', '/api/version', '/.well-known/'])
      expect((await beside.probe({ address, port: 80, method: 'GET', target, timeoutMs: 3000 })).status).toBe(0)
  })

  test('that lasts for a minute only again and again, and no request and no stream notices', async () => {
    const short = await startAuthority({ lasts: 60 })
    stops.push(() => short.stop())
    const beside = short.beside(at.gateway.machine)
    const settings = ordering(short, beside, { [name]: 'acme' })
    await renew(beside, settings, name, { now: true })
    const stream = await running(at, engine, name)
    const seen = new Set(await shown())
    const over = performance.now() + 55_000
    while (performance.now() < over) {
      await renew(beside, settings, name)
      for (const serial of await shown()) seen.add(serial)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    expect(seen.size).toBeGreaterThanOrEqual(2)
    expect(seen).not.toContain(undefined)
    expect(await stream.whole()).toBe(true)
  })
})

describe('the certificate in use stays, and a sentence says why, when', () => {
  const stays = async (settings: Parameters<typeof renew>[1], words: RegExp) => {
    const serial = await due()
    await expect(renew(host, settings, name, { now: true })).rejects.toThrow(words)
    expect(await shown()).toEqual([serial])
    const { trial } = (await memories(host))[name] ?? {}
    expect(trial?.fault).toMatch(words)
    // Nobody is asked again before its time.
    const started = performance.now()
    await expect(renew(host, settings, name)).rejects.toThrow(words)
    expect(performance.now() - started).toBeLessThan(2000)
    return trial
  }

  test('the DNS provider fails', async () => {
    const failing = { ...authority, credentials: `${authority.credentials}EXEC_PATH=/bin/false\n` }
    await stays(
      ordering(failing, host, { [name]: 'acme' }),
      /provider did not take the record; look whether the credentials/,
    )
  })

  test('there is no such provider', async () => {
    await stays(
      ordering(authority, host, { [name]: 'acme' }, { dns: 'rout53' }),
      /this lego has no such DNS provider; `lego dnshelp` lists/,
    )
  })

  test('the provider wants other credentials', async () => {
    await stays(ordering(authority, host, { [name]: 'acme' }, { dns: 'gandi' }), /the credentials lack GANDI_\S+/)
  })

  test('every number that a request carries is wrong', async () => {
    const wrong = await startAuthority({ wrongNonces: 100 })
    stops.push(() => wrong.stop())
    await stays(ordering(wrong, host, { [name]: 'acme' }), /\(badNonce\)/)
  })

  test('the authority takes no more orders, until the time that it names', async () => {
    const until = new Date(Date.now() + 2 * day).toISOString().slice(0, 19).replace('T', ' ')
    const root = certificate({ names: ['root'], ca: true })
    const at = await refusing(root, certificate({ names: ['localhost'], by: root }), {
      ...{ status: 429, type: 'rateLimited', detail: `too many new registrations, retry after ${until} UTC` },
    })
    const trial = await stays(
      ordering(at, host, { [name]: 'acme' }),
      /takes no more orders for now; wait\. It is tried again in 48 hours/,
    )
    expect(((trial?.next ?? 0) - Date.now()) / day).toBeCloseTo(2, 1)
  })

  test('its root is not known here', async () => {
    const { certificate: ca } = certificate({ names: ['another'], ca: true })
    writeFileSync(join(host.home, 'foreign.pem'), ca)
    await stays(
      ordering({ ...authority, ca: '~/foreign.pem' }, host, { [name]: 'acme' }),
      /does not know; name its root by acme\.ca/,
    )
  })

  test('the clock here is wrong, as its own certificate shows', async () => {
    const root = certificate({ names: ['root'], ca: true })
    const at = await refusing(root, certificate({ names: ['localhost'], by: root, begins: -3 * day, days: -1 }), {
      status: 500,
      type: 'serverInternal',
      detail: '',
    })
    await stays(ordering(at, host, { [name]: 'acme' }), /not valid at this machine’s time; set the clock right/)
  })

  test('nobody is there', async () => {
    await stays(
      ordering({ ...authority, directory: 'https://localhost:1/dir' }, host, { [name]: 'acme' }),
      /cannot be reached; look whether this machine is online/,
    )
  })

  test('the proof by HTTP is not found', async () => {
    const settings = ordering(authority, host, { [name]: 'acme' }, { port: await freePort('127.0.0.1') })
    await stays(settings, /did not find the proof of the name/)
  })
})
