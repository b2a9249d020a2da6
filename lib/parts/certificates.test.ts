import { expect, it } from 'vitest'
import { memoryHost } from '../../test/memory-host.ts'
import type { Machine } from '../site/machine.ts'
import { parseSettings } from '../site/settings.ts'
import type { Setup } from '../site/setup.ts'
import { certificates } from './certificates.ts'

const machine = {
  home: '/Users/ada',
  system: 'mac',
  user: 'ada',
  uid: 0,
  packager: { prefix: '/opt/homebrew' },
} as Machine
const setup = (settings: object, mode = 'proxy') =>
  ({ mode, settings: parseSettings(JSON.stringify(settings), 'settings.yaml') }) as Setup

const open = { listeners: { public: { addresses: ['203.0.113.7'], port: 8443 } } }
const tls = { 'ai.example.net': 'acme' }
const ids = (settings: object, mode?: string) => certificates.steps(machine, setup(settings, mode)).map(({ id }) => id)

it('only what the settings ask for is looked at', () => {
  expect(ids({})).toEqual([])
  expect(ids({ tls: { 'a.lan': 'own-ca' } })).toEqual(['certificates.a.lan'])
  expect(ids({ tls, acme: { dns: 'route53' } })).toEqual(['lego.package', 'certificates.ai.example.net'])
  expect(ids({ ...open, tls })).toEqual(['certificates.http', 'lego.package', 'certificates.ai.example.net'])
  expect(ids({ tls }, 'local')).toEqual([])
})

it.each([
  [{ tls }, 0, '', /nothing is listened on where it could ask/],
  [{ ...open, tls }, 501, '', /port 80 needs root, and the gateway runs as ada/],
  [{ ...open, tls }, 0, 'p7\ncnginx\nf3\nn*:80\n', /nginx .*holds port 80/],
  [{ ...open, tls }, 0, 'p7\ncnginx\nf3\nn192.0.2.1:80\n', undefined],
  [{ ...open, tls }, 0, 'p7\nchaproxy\nf3\nn203.0.113.7:80\n', undefined],
])(
  'before anything is changed it is said why an authority could not ask: %j as user %i',
  async (settings, uid, held, words) => {
    const host = memoryHost({ commands: { lsof: { stdout: held } } })
    const [check] = certificates.steps({ ...machine, uid }, setup(settings))
    const found = await check?.check(host)
    expect(found).toMatchObject(words ? { is: 'missed', saw: expect.stringMatching(words) } : { is: 'ok' })
    if (words && uid !== 0) {
      host.ask = async () => '# pxname,svname,status\nchallenge,FRONTEND,OPEN\n'
      expect(await check?.check(host)).toMatchObject({ is: 'ok' })
    }
    if (words) expect(found).toMatchObject({ remedy: expect.stringContaining('acme.dns') })
  },
)
