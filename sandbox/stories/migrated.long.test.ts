import { cpSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box } from '../box/box.ts'
import { checkout, node, program } from '../box/paths.ts'
import { at, cannot, expectGreen, job, patience, quickBox, receipt, run, screen, told } from './witness.ts'

/** What an Intel Mac left in /usr/local. */
const brought = { installed: { node: '22.4.0', ollama: '0.31.0', haproxy: '3.2.1' } }
const calm = { pmset: { ac: { sleep: 0, autorestart: 1 } } }

const fixed = /^\/(usr\/local|opt\/homebrew)\//.test(node) ? 'Node is where a Homebrew is' : cannot

/** A PATH as such a Mac has it, Intel's programs first, and no Node of this machine. */
function migratedPath(box: Box): { env: Record<string, string> } {
  mkdirSync(box.outside('tools'), { recursive: true })
  for (const name of [
    'sh',
    'bash',
    'dirname',
    'basename',
    'mktemp',
    'mkfifo',
    'rm',
    'cat',
    'env',
    'find',
    'test',
    'printenv',
    'readlink',
  ])
    symlinkSync(program(name) ?? `/bin/${name}`, box.outside(`tools/${name}`))
  return { env: { PATH: `${box.dir}/bin:/usr/local/bin:${box.prefix}/bin:${box.home}/tools` } }
}

/** A copy of this checkout with packages of its own, as somebody unpacked it. */
function copyOf(box: Box, name: string): string {
  const own = readdirSync(checkout).filter((one) => /^[\w-]+\.(ts|json|sh)$|^lib$|^templates$/.test(one))
  mkdirSync(box.outside(name), { recursive: true })
  for (const one of own) cpSync(join(checkout, one), box.outside(`${name}/${one}`), { recursive: true })
  cpSync(join(checkout, 'node_modules'), box.outside(`${name}/node_modules`), { recursive: true })
  return `${box.home}/${name}`
}

const skipped = fixed ? ` (skipped: ${fixed})` : ''

describe.skipIf(fixed)(`a Mac migrated from Intel${skipped}`, () => {
  let box: Box
  let env: { env: Record<string, string> }
  beforeAll(async () => {
    box = await quickBox({
      preset: 'bare',
      mac: { ...calm, tailscale: { variant: 'standalone', state: 'Running', joined: true }, intelBrew: brought },
    })
    env = migratedPath(box)
    box.write(at(box).settings, 'models: []\n', 0o600)
  })
  afterAll(() => box.close())

  it('is told by status.ts which Homebrew does not count, and that Node is Intel’s', async () => {
    const outcome = await run(box, 'status.ts', '--verbose')
    expect(outcome.stdout).toMatch(
      /✗ Homebrew is installed \[packages\.present\]\n\s+the Homebrew in \/usr\/local is not for Apple silicon, and is left as it is/,
    )
    const translated = await box.run(['/usr/local/bin/node', '--import', 'tsx', 'status.ts', '--verbose'], {
      cwd: checkout,
      ...env,
    })
    expect(translated.stdout).toMatch(/\[system\.native\]\n\s+Node runs under Rosetta\n\s+→ Run \.\/bootstrap\.sh/)
  })

  it('gets Apple silicon’s Homebrew and Node beside the others by bootstrap.sh, and nothing that runs is Intel’s', async () => {
    const outcome = await box.run(['/bin/sh', join(checkout, 'bootstrap.sh'), '--yes'], { ...env, timeoutMs: patience })
    const said = told(outcome)
    expect(said).toContain('/usr/local/bin/brew and what it installed are left as they are.')
    expectGreen(outcome.code === 5 ? 0 : outcome.code, said)
    expect(box.state().intelBrew).toEqual(brought)
    expect(box.state().brew.installed).toHaveProperty('haproxy')
    const jobs = await Promise.all([labels.engine, labels.gateway, labels.observer].map((label) => job(box, label)))
    for (const one of jobs) expect(JSON.stringify(one)).not.toContain('/usr/local/')
    expect(jobs[0]?.arguments).toContain(`${box.prefix}/opt/ollama/bin/ollama`)
  })

  it('is told by its last line what makes the printed commands work in this terminal', async () => {
    const again = await box.run(['/bin/sh', join(checkout, 'bootstrap.sh'), '--yes'], { ...env, timeoutMs: patience })
    const line = again.stderr.trimEnd().split('\n').at(-1) ?? ''
    const typed = /type: (export PATH="[^"]*")/.exec(line)?.[1]
    expect(typed, told(again)).toBe(`export PATH="${box.prefix}/bin:$PATH"`)
    const first = await box.run(['/bin/sh', '-c', `${typed}; node --import tsx status.ts --verbose`], {
      cwd: checkout,
      ...env,
    })
    expect(first.code, told(first)).toBe(0)
    expect(first.stdout).toContain('the Homebrew in /usr/local is not for Apple silicon, and is left as it is')
  })

  it('with packages for another processor gets them anew', async () => {
    const copy = copyOf(box, 'unpacked')
    const [own = ''] = readdirSync(box.outside('unpacked/node_modules/@esbuild'))
    renameSync(box.outside(`unpacked/node_modules/@esbuild/${own}`), box.outside('unpacked/own'))
    mkdirSync(box.outside('unpacked/node_modules/@esbuild/darwin-x64'))
    // npm without its registry.
    box.write(
      `${box.prefix}/opt/node/bin/npm`,
      `#!/bin/sh\necho "npm $*"\nmv own node_modules/@esbuild/${own}\n`,
      0o755,
    )
    const path = { env: { PATH: `${env.env.PATH}:/bin` } }
    const outcome = await box.run(['/bin/sh', `${copy}/bootstrap.sh`, '--frobnicate'], path)
    expect(outcome.code, told(outcome)).toBe(2)
    expect(outcome.stdout).toMatch(/^npm ci --omit=dev[^\n]*\n$/)
    expect(outcome.stderr).toContain('Usage: npx tsx install.ts')
    const again = await box.run(['/bin/sh', `${copy}/bootstrap.sh`, '--frobnicate'], path)
    expect(again.stdout).toBe('')
    expect(again.stderr).toContain('Usage: npx tsx install.ts')
  })
})

describe.skipIf(fixed)(`what an Intel Homebrew runs${skipped}`, () => {
  it('in a terminal under Rosetta bootstrap.sh brings Apple silicon’s all the same', async () => {
    const box = await quickBox({ preset: 'bare', mac: { translated: true, intelBrew: { installed: {} } } })
    try {
      const outcome = await box.run(
        ['/bin/sh', join(checkout, 'bootstrap.sh'), '--yes', '--frobnicate'],
        migratedPath(box),
      )
      expect(outcome.code, told(outcome)).toBe(2)
      expect(box.exists(`${box.prefix}/opt/node/bin/node`)).toBe(true)
      expect(box.state().intelBrew).toEqual({ installed: {} })
    } finally {
      await box.close()
    }
  })

  it('as a service is stopped, and remembered, by that Homebrew itself', async () => {
    const box = await quickBox({ mac: { ...calm, intelBrew: brought } })
    try {
      box.write(at(box).settings, 'models: []\n', 0o600)
      expect(await box.run(['/usr/local/bin/brew', 'services', 'start', 'ollama'])).toMatchObject({ code: 0 })
      const asked = box.startScript('install.ts', ['--yes', '--stop-other-ollama'], { tty: true })
      const { code } = await asked.done
      expectGreen(code === 5 ? 0 : code, screen(asked))
      const back = ['/usr/local/bin/brew', 'services', 'start', 'ollama']
      expect(receipt(box).stopped).toEqual([{ what: 'the Homebrew service ollama', back }])
    } finally {
      await box.close()
    }
  })
})
