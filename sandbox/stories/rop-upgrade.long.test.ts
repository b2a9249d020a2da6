import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { answers, runningPid, setFaults } from './installed.ts'
import { endlessWords, longChat, openStream, words } from './stream.ts'
import {
  anotherOwn,
  brewHas,
  copies,
  current,
  expectProven,
  newerHaproxy,
  rop,
  running,
  tokens,
  upgradable,
} from './upgrading.ts'
import { expectGreen, told } from './witness.ts'

let box: Box
beforeAll(async () => {
  box = await upgradable()
})
afterAll(() => box?.close())

describe('rop upgrade', () => {
  it('brings the newer HAProxy and Ollama, each with its proof, and no stream loses a word', async () => {
    const newer = newerHaproxy()
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
})

describe('rop upgrade, when it is not as easy', () => {
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
