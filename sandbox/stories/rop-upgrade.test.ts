import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { checkout } from '../box/paths.ts'
import { answers, installedBox, runningPid, setFaults, worker } from './installed.ts'
import { download } from './real.ts'
import { endless, endlessWords, lasting, longChat, openStream, words } from './stream.ts'
import { expectGreen, patience, told } from './witness.ts'

let box: Box
const tokens = lasting(400, 2_000)

const rop = (...said: string[]) => box.run([`${box.prefix}/bin/rop`, ...said], { cwd: '/', timeoutMs: patience })
const running = async () => /^Version: (\d+\.\d+\.\d+)/m.exec(await worker(box, 'show info'))?.[1]
const copies = async () => (await box.run(['ls', `${box.home}/Library/Application Support/remote-ollama-proxy`])).stdout
const current = async () =>
  (await box.run(['readlink', `${box.home}/Library/Application Support/remote-ollama-proxy/current`])).stdout.trim()

/** Homebrew has this program as its newest HAProxy. */
function brewHas(version: string, text: string | Buffer): void {
  const file = join(box.dir, `haproxy-${version}`)
  writeFileSync(file, text, { mode: 0o755 })
  box.mac(({ brew }) => {
    brew.haproxyBinaries[version] = file
    brew.latest.haproxy = version
  })
}

/** Homebrew's list came so many days ago. */
async function listIs(old: { days: number } | undefined): Promise<void> {
  box.mac(({ brew }) => {
    if (old) brew.old = old
    else delete brew.old
  })
  await box.place()
}

/** The same program by another version of the same length. */
function newerHaproxy(): string {
  const [[version = '', file = ''] = []] = Object.entries(box.state().brew.haproxyBinaries)
  const newer = version.replace(/\d$/, (digit) => (digit === '9' ? '0' : `${Number(digit) + 1}`))
  brewHas(newer, Buffer.from(readFileSync(file, 'latin1').replaceAll(version, newer), 'latin1'))
  return newer
}

/** A folder of ours that calls itself by this version. */
function anotherOwn(version: string): string {
  const folder = box.outside(`ours-${version}`)
  mkdirSync(folder, { recursive: true })
  for (const name of ['lib', 'templates', 'rop.ts', 'warm-models.ts', 'observer.ts'])
    cpSync(join(checkout, name), join(folder, name), { recursive: true })
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as object
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }))
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'))
  return `${box.home}/ours-${version}`
}

/** All but the speed of a busy test machine. */
const expectProven = (code: number, text: string) => expect([0, 5], text).toContain(code)

beforeAll(async () => {
  box = await installedBox({ settings: 'models: []\ninference: { slots: 16, parallel: 16 }\n', models: false, code: 5 })
  await download(box, [endless])
})
afterAll(() => box?.close())

describe('rop upgrade', () => {
  it('--check finds nothing newer, then what is, and changes nothing', async () => {
    expect(await rop('upgrade', '--check')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Nothing is newer/),
    })
    await listIs({ days: 9 })
    expect((await rop('upgrade', '--check')).stdout).toMatch(/! Homebrew’s list is older than a week/)
    await listIs(undefined)
    const newer = newerHaproxy()
    const { code, stdout } = await rop('upgrade', '--check', '--json')
    expect([code, JSON.parse(stdout)]).toMatchObject([
      1,
      { newer: true, packages: [{ program: 'haproxy', current: newer }, {}, {}] },
    ])
    expect(await running()).not.toBe(newer)
    expect(await rop('upgrade')).toMatchObject({ code: 2, stderr: expect.stringMatching(/rop upgrade --yes/) })
    expect(await rop('upgrade', '--check', '--only', 'haprox')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/did you mean haproxy\?/),
    })
  })

  it('brings the newer HAProxy and Ollama, each with its proof, and no stream loses a word', async () => {
    const newer = box.state().brew.latest.haproxy
    box.mac(({ brew }) => {
      brew.latest.ollama = '0.40.0'
    })
    const master = await runningPid(box, 'com.haproxy')
    setFaults(box, { tokenDelayMs: 2 })
    const stream = await openStream(box, longChat(tokens))
    await stream.sees(' w63')
    const { code, stdout, stderr } = await rop('upgrade', '--yes')
    expectProven(code, `${stdout}\n${stderr}`)
    expect(stdout).toMatch(/HAProxy +\S+ → \S+\n +not tried yet; known to work: \S+ \(all stories, Linux, 2026-/)
    expect(stdout).toMatch(/Upgraded and proven: haproxy, ollama\./)
    expect(await stream.ended).toBe('whole')
    expect(words(stream.text())).toBe(endlessWords(tokens))
    expect([await running(), await runningPid(box, 'com.haproxy')]).toEqual([newer, master])
    expect((await box.http('mac', { host: '127.0.0.1', port: box.enginePort, path: '/api/version' })).body).toContain(
      '0.40.0',
    )
    expect((await rop('status')).code).toBe(0)
  })

  it('leaves the old HAProxy at work when the new one refuses the configuration, and says how to go back, which helps', async () => {
    const before = await running()
    brewHas(
      '9.9.9',
      '#!/bin/sh\ncase $1 in *v*) echo "HAProxy version 9.9.9" ;; *) echo "[ALERT] unknown keyword frontend" >&2; exit 1 ;; esac\n',
    )
    const { code, stdout, stderr } = await rop('upgrade', '--yes')
    expect(code, stdout).toBe(1)
    expect(stderr).toMatch(
      /HAProxy 9\.9\.9 did not prove itself\..* refuses the new configuration, so the old one stays/,
    )
    expect(await running()).toBe(before)
    await answers(box)
    const [, way = ''] = /^ {2}(brew uninstall .* brew pin haproxy)/m.exec(stderr) ?? []
    expect(await box.run(['/bin/sh', '-c', way]), stderr).toMatchObject({ code: 0 })
    const again = await rop('install', '--yes')
    expectGreen(again.code, told(again))
    expect((await rop('status')).code).toBe(0)
    const held = await rop('upgrade', '--check')
    expect(held).toMatchObject({ code: 0, stdout: expect.stringMatching(/HAProxy .*left, since you hold it at/) })
  })

  it('--from a folder brings our own other version, and the earlier copy goes when that has proven itself', async () => {
    const { code, stdout, stderr } = await rop('upgrade', '--yes', '--from', anotherOwn('7.0.0'))
    expectProven(code, `${stdout}\n${stderr}`)
    expect((await rop('--version')).stdout).toBe('remote-ollama-proxy 7.0.0\n')
    expect((await copies()).match(/^\d.*-[0-9a-f]{8}$/gm)).toEqual([await current()])
    expect(await rop('upgrade', '--check', '--from', '/nowhere')).toMatchObject({ code: 2 })
  })

  it('puts our own version of before back when the other one does not prove itself', async () => {
    const before = await current()
    const folder = anotherOwn('8.0.0')
    const template = box.outside(`${folder}/templates/frontend.cfg`)
    writeFileSync(template, readFileSync(template, 'utf8').replace(/^ {2}mode http$/m, '  mode nonsense'))
    writeFileSync(template, `${readFileSync(template, 'utf8')}\n  nonsense\n`)
    const { code, stdout, stderr } = await rop('upgrade', '--yes', '--from', folder)
    expect(code, stdout).toBe(1)
    expect(stderr).toContain(`${before} is back and has proven itself.`)
    expect(await current()).toBe(before)
    expect((await rop('status')).code).toBe(0)
    await answers(box)
  })
})
