import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dnsChecks } from '../../lib/checks/names.ts'
import { dnsNames, recordLines } from '../../lib/gateway/dns.ts'
import { listenersOf } from '../../lib/gateway/listeners.ts'
import { realLook } from '../../lib/host/host.ts'
import { parseSettings } from '../../lib/site/settings.ts'
import { gateway, tailnet } from '../../test/gateway.ts'
import { packages } from '../box/packages.ts'
import { eventually, freePort } from '../lab/gateway.ts'

const yaml = `tls: { ai.example.net: own-ca }
hosts: [chat.example.net]
listeners: { lan: { addresses: [10.50.0.100, "fd00::7"], sources: [10.50.0.0/24] } }`
const ours = gateway(yaml, listenersOf(parseSettings(yaml, 'settings.yaml'), tailnet))
const look = realLook()
const folder = mkdtempSync(join(tmpdir(), 'dns-'))
let resolver: string
let stop = () => {}

const said = async (at: string, border: string[] = []) =>
  Promise.all(dnsChecks(ours, at, border).map(async (check) => [check.id, await check.check(look)] as const))

beforeAll(async () => {
  const from = await packages(['dnsmasq-base'])
  const port = await freePort('127.0.0.1')
  const file = join(folder, 'dnsmasq.conf')
  const records = recordLines('dnsmasq', dnsNames(ours).slice(0, 1), ['10.50.0.100', 'fd00::7'])
  writeFileSync(
    file,
    [...records, 'host-record=chat.example.net,198.51.100.9', 'no-resolv', 'no-hosts', 'bind-interfaces', ''].join(
      '\n',
    ),
  )
  const words = ['--keep-in-foreground', `--conf-file=${file}`, '--listen-address=127.0.0.1', `--port=${port}`]
  const env = { ...process.env, LD_LIBRARY_PATH: from.libraryPath }
  const running = spawn(from.bin('dnsmasq'), [...words, '--user=', '--pid-file='], { stdio: 'inherit', env })
  stop = () => running.kill()
  resolver = `127.0.0.1:${port}`
  await eventually(
    'dnsmasq answers',
    async () => (await look.resolve({ resolver, name: 'ai.example.net' })) !== undefined,
  )
})
afterAll(() => {
  stop()
  rmSync(folder, { recursive: true })
})

test('a resolver that has our records is right, and one record of before is named with what stands there', async () => {
  expect(await said(resolver)).toEqual([
    ['dns.ai.example.net', { is: 'ok', saw: '10.50.0.100 and fd00::7' }],
    [
      'dns.chat.example.net',
      {
        is: 'missed',
        saw: 'it gives 198.51.100.9, and not 10.50.0.100 and fd00::7',
        remedy: expect.stringMatching(/^Write the record that .*dns.* prints\.$/),
      },
    ],
  ])
})

test('what the internet is told is right, too', async () => {
  expect((await said(resolver, ['198.51.100.9'])).map(([, { is }]) => is)).toEqual(['ok', 'ok'])
})

test('one that does not answer is named', async () => {
  const [[, found] = []] = await said(`127.0.0.1:${await freePort('127.0.0.1')}`)
  expect(found).toMatchObject({ is: 'missed', saw: expect.stringContaining('gives no answer') })
})
