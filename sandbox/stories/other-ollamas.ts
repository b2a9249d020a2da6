import { expect } from 'vitest'
import { type Box, differences } from '../box/box.ts'
import { eventually } from './await.ts'
import { answers, install, installs, status } from './installed.ts'

/** Waits until somebody answers on Ollama's port of this Mac. */
export const serves = (box: Box) =>
  eventually('an Ollama answers', async () => {
    const { code } = await box.run(['curl', '-fs', `http://127.0.0.1:${box.enginePort}/api/version`])
    return code === 0
  })

const ours = ['Library/LaunchAgents', '.haproxy', 'Library/Application Support/remote-ollama-proxy', '.config']

/** install.ts without the flag: names what is there, exits 3, changes nothing. */
export async function isNamed(box: Box, what: string | RegExp): Promise<void> {
  const before = ours.map((folder) => (box.exists(folder) ? box.snapshot(folder) : undefined))
  const { code, stderr } = await install(box)
  expect(stderr).toMatch(what)
  expect(stderr).toContain('--stop-other-ollama')
  expect(code).toBe(3)
  for (const [at, folder] of ours.entries()) {
    const then = before[at]
    if (then === undefined) expect(box.exists(folder), folder).toBe(false)
    else expect(differences(then, box.snapshot(folder)), folder).toEqual([])
  }
}

/** With the flag it is stopped, the install goes through, and uninstall says how to bring it back. */
export async function isReplaced(box: Box, back: string | RegExp): Promise<void> {
  await installs(box, ['--stop-other-ollama'])
  await answers(box)
  expect(await status(box)).toMatchObject({ code: 0 })
  const { code, stdout } = await box.script('uninstall.ts', ['--yes'])
  expect(code).toBe(0)
  expect(stdout).toMatch(back)
}
