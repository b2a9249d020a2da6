import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { at, cannot, installed, quickBox, run } from './witness.ts'

/** The program of npm's `@anthropic-ai/claude-code`, where the box can see it; a quarter of a gigabyte, so no dependency of ours. */
const program = process.env.CLAUDE_CODE
const why = cannot ?? (program ? undefined : 'CLAUDE_CODE does not name the program')

describe.skipIf(why)(`Claude Code itself with an API key${why ? ` (skipped: ${why})` : ''}`, () => {
  let box: Box
  let key: string
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [qwen3:0.6b]\naccess: keys\n', 0o600)
    await installed(box)
    const { stdout } = await run(box, 'keys.ts', 'add', 'bob', '--models', 'qwen3*', '--json')
    key = (JSON.parse(stdout) as { key: string }).key
  })
  afterAll(() => box?.close())

  const ask = (env: Record<string, string>) =>
    box.run([program ?? '', '-p', 'Say hello'], {
      on: 'laptop',
      env: {
        ANTHROPIC_BASE_URL: `http://${box.address}:${box.port}`,
        ANTHROPIC_MODEL: 'qwen3:0.6b',
        ANTHROPIC_SMALL_FAST_MODEL: 'qwen3:0.6b',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        ...env,
      },
    })

  it('answers with both of its variables set: the token counts, the other key is dropped', async () => {
    const { code, stdout } = await ask({ ANTHROPIC_AUTH_TOKEN: key, ANTHROPIC_API_KEY: 'sk-ant-nonsense' })
    expect([code, stdout]).toEqual([0, expect.stringContaining('This is qwen3:0.6b.')])
  })

  it('answers with the key in its other variable alone', async () => {
    expect((await ask({ ANTHROPIC_API_KEY: key })).stdout).toContain('This is qwen3:0.6b.')
  })

  it('shows at once why a wrong key and another model are refused', async () => {
    const wrong = await ask({ ANTHROPIC_AUTH_TOKEN: 'rop_wrong' })
    expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringContaining('this API key is not known here')])
    const other = await ask({ ANTHROPIC_AUTH_TOKEN: key, ANTHROPIC_MODEL: 'tiny-loop' })
    expect([other.code, other.stdout]).toEqual([1, expect.stringContaining('may not use the model tiny-loop')])
  })
})
