import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { factsIn } from '../../lib/certificates/pair.ts'
import { memories, renew } from '../../lib/certificates/renew.ts'
import { heldFor } from '../../lib/certificates/served.ts'
import { type Host, realHost } from '../../lib/host/host.ts'
import { parseSettings } from '../../lib/site/settings.ts'
import { issued } from '../../test/certificates.ts'
import { type CommandBox, openCommandBox } from './command-box.ts'

const name = 'studio.tail1234.ts.net'
const settings = parseSettings(`tls: { ${name}: tailscale }`, 'settings.yaml')
const day = 86_400_000

const made = (days: number) => {
  const { chain, leaf } = issued([name], { begins: (days - 90) * day, days })
  return { chain, key: leaf.key }
}
const [ending, lasting] = [made(20), made(89)]

let box: CommandBox
let host: Host
beforeAll(async () => {
  box = await openCommandBox({
    tailscale: { variant: 'formula', state: 'Running', joined: true, certificates: [ending, lasting] },
  })
  const command = join(box.dir, 'tailscale')
  writeFileSync(
    command,
    `#!/bin/sh\nBOX='${box.dir}' exec '${process.execPath}' '${box.dir}/standins.mjs' tailscale "$@"\n`,
  )
  chmodSync(command, 0o755)
  const real = realHost()
  host = {
    ...real,
    home: box.home,
    system: 'mac',
    find: async (names) => (names[0] === 'tailscale' ? command : real.find(names)),
  }
})
afterAll(() => box.close())

const held = async () => (await heldFor(host, name))?.serial

test('a certificate of Tailscale’s is fetched, and another one that lasts when a third of its life is left', async () => {
  expect(await renew(host, settings, name)).toBe(true)
  expect(await held()).toBe(factsIn(ending.chain)?.serial)
  expect(await renew(host, settings, name)).toBe(true)
  expect(await held()).toBe(factsIn(lasting.chain)?.serial)
  expect(await renew(host, settings, name)).toBe(false)
})

test('where HTTPS is switched off in the tailnet the one in use stays, and a sentence says where to switch it on', async () => {
  await host.write(`${box.home}/.haproxy/certs/${name}.pem`, `${ending.chain}${ending.key}`)
  box.save((mac) => {
    mac.tailscale.certDomains = []
  })
  const words =
    /HTTPS is switched off in your tailnet; switch on MagicDNS and HTTPS Certificates at https:\/\/login\.tailscale\.com\/admin\/dns/
  await expect(renew(host, settings, name)).rejects.toThrow(words)
  expect(await held()).toBe(factsIn(ending.chain)?.serial)
  expect((await memories(host))[name]?.trial?.fault).toMatch(words)
})

test.each([
  ['another name than the machine’s', { certDomains: ['other.tail1234.ts.net'] }, /gives none for this name/],
  ['an authority that is out of reach', { certDomains: [name], certificates: [] }, /does not reach the authority/],
  ['a Tailscale before 1.72', { certDomains: [name], version: '1.70.0' }, /older than 1\.72; upgrade it/],
  ['a machine that is logged out', { joined: false, version: '1.102.5' }, /not logged in to the tailnet/],
])('with %s none is taken, and it is said why', async (_what, state, words) => {
  box.save((mac) => void Object.assign(mac.tailscale, state))
  await expect(renew(host, settings, name, { now: true })).rejects.toThrow(words)
})
