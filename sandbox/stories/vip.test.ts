import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepalivedConf } from '../../lib/gateway/vip.ts'
import { gateway } from '../../test/gateway.ts'
import { packages } from '../box/packages.ts'
import { ipProgram } from '../box/tools.ts'
import { whyNoPair } from '../lab/pair.ts'

const why = whyNoPair()

/** What the real Keepalived says of a file, where its card is. */
async function judged(text: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'vip-'))
  try {
    const file = join(folder, 'keepalived.conf')
    writeFileSync(file, text)
    const { bin, libraryPath } = await packages(['keepalived'])
    const ip = await ipProgram(folder)
    const line = `'${ip}' link add eth0 type veth peer name other && LD_LIBRARY_PATH='${libraryPath}' '${bin('keepalived')}' -t -f '${file}' 2>&1 || true`
    return execFileSync('unshare', ['--net', 'sh', '-c', line], { encoding: 'utf8' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test.skipIf(why !== undefined)(`Keepalived finds no fault in its file${why ? ` (skipped: ${why})` : ''}`, async () => {
  const made = gateway("vip: { address: '10.50.0.100', interface: eth0, peer: '10.50.0.3', priority: 150 }")
  const text = made.settings.vip ? keepalivedConf(made, made.settings.vip, '10.50.0.2') : ''
  expect(await judged(text)).toBe('')
  expect(await judged(text.replace('nopreempt', 'nopreemt'))).toContain("Unknown keyword 'nopreemt'")
})
