import { describe, expect, it } from 'vitest'
import { issued } from '../../test/certificates.ts'
import { memoryHost } from '../../test/memory-host.ts'
import { parseSettings } from '../site/settings.ts'
import { judge } from './judge.ts'
import { fromTailscale } from './tailscale.ts'

const name = 'studio.tail0lab.ts.net'
const settings = parseSettings(`tls: { ${name}: tailscale }`, 'settings.yaml')
const day = 86_400_000

function machine(answer: object) {
  return memoryHost({
    files: new Map([['tailscale', '']]),
    commands: {
      'env TAILSCALE_BE_CLI=1 tailscale status --json': { stdout: '{}' },
      'env TAILSCALE_BE_CLI=1 tailscale cert': answer,
    },
  })
}

describe('tailscale cert', () => {
  it('is asked for what lasts another third of its life, and gives both on standard output', async () => {
    const { leaf, chain } = issued([name])
    const host = machine({ stdout: `${chain}${leaf.key}` })
    const held = judge(issued([name], { begins: -60 * day, days: 30 }).pem, { name, source: 'a test' })
    const brought = await fromTailscale(host, { name, settings, held, due: true })
    expect(judge(brought?.pem ?? '', { name, source: 'a test' }).names).toEqual([name])
    expect(host.ran).toEqual([
      `env TAILSCALE_BE_CLI=1 tailscale cert --min-validity=720h --cert-file=- --key-file=- ${name}`,
    ])
    await fromTailscale(host, { name, settings, due: true })
    expect(host.ran.at(-1)).not.toContain('min-validity')
    expect(await fromTailscale(host, { name, settings, held, due: false })).toBeUndefined()
    expect(host.ran).toHaveLength(2)
  })

  it.each([
    [
      '500 Internal Server Error: your Tailscale account does not support getting TLS certs',
      /HTTPS is switched off in your tailnet; switch on MagicDNS and HTTPS Certificates at https:\/\/login\.tailscale\.com\/admin\/dns/,
    ],
    [
      '500 Internal Server Error: invalid domain "a.ts.net"; must be one of ["b.ts.net"]',
      /Tailscale gives none for this name; use the name/,
    ],
    ['500 Internal Server Error: no netmap available', /not logged in to the tailnet; log in: tailscale up/],
    ['Access denied: cert access denied', /only root may ask Tailscale here/],
    ['flag provided but not defined: -min-validity', /older than 1\.72; upgrade it/],
    [
      '500 Internal Server Error: acme.GetReg: Get "https://acme-v02": dial tcp: lookup acme-v02 on 100.100.100.100:53: server misbehaving',
      /does not reach the authority; look whether this machine is online/,
    ],
    [
      '500: 429 urn:ietf:params:acme:error:rateLimited: too many certificates',
      /takes no more orders for this name now/,
    ],
    ['something new', /Tailscale says "something new"; mend that/],
  ])('that gives none is told in a sentence: %s', async (stderr, words) => {
    const asked = fromTailscale(machine({ code: 1, stderr }), { name, settings, due: true })
    await expect(asked).rejects.toThrow(words)
    await expect(asked).rejects.toThrow(
      /^No certificate for studio\.tail0lab\.ts\.net came from Tailscale: [^\n]+; [^\n]+\.$/,
    )
  })

  it('is asked for nothing where Tailscale is not installed', async () => {
    await expect(fromTailscale(memoryHost(), { name, settings, due: true })).rejects.toThrow(
      /Tailscale is not installed/,
    )
  })
})
