import { afterEach, describe, expect, it } from 'vitest'
import type { Box } from '../box/box.ts'
import { job, readyBox } from './installed.ts'
import { isNamed, isReplaced, serves } from './other-ollamas.ts'

let box: Box
afterEach(() => box?.close())

describe('an Ollama that is not ours', () => {
  it('a Homebrew service is named, stopped only when told so, and offered back', async (context) => {
    box = await readyBox()
    if (!box.namespaced) return context.skip(`its port 11434 may be somebody else’s there: ${box.why}`)
    await box.run(['brew', 'services', 'start', 'ollama'])
    await serves(box)
    await isNamed(box, /the Homebrew service ollama/)
    expect(await job(box, 'homebrew.mxcl.ollama')).toBeDefined()
    await isReplaced(box, /bring it back with: \S*brew services start ollama$/m)
    expect(await job(box, 'homebrew.mxcl.ollama')).toBeUndefined()
  })
})
