import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificatesIn, factsIn } from '../../lib/certificates/pair.ts'
import type { Box } from '../box/box.ts'
import { at, cannot, installed, quickBox, run, titled, told } from './witness.ts'

const settings = 'models: [tiny-loop]\n'

describe.skipIf(cannot)(titled('certificates of one’s own'), () => {
  let box: Box
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, settings, 0o600)
    await installed(box)
  })
  afterAll(() => box?.close())

  const pem = (name: string) => `.haproxy/certs/${name}.pem`
  async function rop(...words: string[]) {
    const outcome = await run(box, 'rop.ts', ...words)
    expect(outcome.code, told(outcome)).toBe(0)
    return outcome.stdout
  }

  it('are made by apply, which shows nobody the key, and needs no restart', async () => {
    box.write(at(box).settings, `${settings}tls: { studio.lan: own-ca }\n`, 0o600)
    const planned = await rop('apply', '--dry-run', '--verbose')
    expect(planned).toContain('certificate: a certificate is fetched for a name')
    expect(planned).not.toContain('PRIVATE KEY')
    await rop('apply')
    expect(factsIn(box.read(pem('studio.lan')))?.names).toEqual(['studio.lan'])
    expect(await rop('apply')).toContain('Nothing to do')
  })

  it('are listed with the time that is left, and told by status', async () => {
    expect(await rop('certificates')).toMatch(/^ *studio\.lan +own-ca +(89|90) days left, serial [0-9A-F]+/m)
    expect(await rop('status')).toMatch(/TLS +studio\.lan for (89|90) days/)
  })

  it('are trusted by whoever has the root, which is written once and never over something', async () => {
    const said = await rop('certificates', 'root', `${box.home}/root.pem`)
    expect(said).toMatch(/trusts this server for studio\.lan, and for nothing else/)
    const [root] = certificatesIn(box.read('root.pem'))
    const [leaf] = certificatesIn(box.read(pem('studio.lan')))
    expect(root && leaf?.checkIssued(root)).toBe(true)
    const again = await run(box, 'rop.ts', 'certificates', 'root', `${box.home}/root.pem`)
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('is there already; name another file')])
  })

  it('of another name need a new root, in a sentence', async () => {
    box.write(at(box).settings, `${settings}tls: { studio.lan: own-ca, nas.lan: own-ca }\n`, 0o600)
    const refused = await run(box, 'rop.ts', 'certificates', 'renew', 'nas.lan')
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/may sign for studio\.lan only; .*certificates root --new/),
    ])
    const before = factsIn(box.read(pem('studio.lan')))?.serial
    await rop('certificates', 'root', '--new')
    expect(factsIn(box.read(pem('studio.lan')))?.serial).not.toBe(before)
    expect(factsIn(box.read(pem('nas.lan')))?.names).toEqual(['nas.lan'])
    const strange = await run(box, 'rop.ts', 'certificates', 'renew', 'nass.lan')
    expect([strange.code, strange.stderr]).toEqual([2, expect.stringContaining('did you mean nas.lan?')])
  })

  it('are gone with the rest', async () => {
    await rop('uninstall', '--yes')
    expect(box.exists(pem('studio.lan'))).toBe(false)
  })
})
