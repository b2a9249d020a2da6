import { hasNodes } from '../nodes.ts'
import type { Gateway } from '../policy.ts'
import { eitherOf, type Since } from './since.ts'

/** The first HAProxy that can take a larger buffer for a body alone (`use-large-buffer`). */
const largeSince: Since = [3, 4]
/** Room for the head before a body that must be seen whole. With the usual 100 KB that is 124 KB; 128 KB and more would cost every request a mapping of its own (glibc's mmap threshold). */
const headRoom = 24_576
/** Where somebody has a list of models HAProxy answers it itself, and is told it in one command: both end within an ordinary buffer. */
const listRoom = 32_768

/** Bytes of the buffer for a whole body; a head that is longer, or without an end, is refused in every version when it is full. */
export const bufferSize = (gateway: Gateway): number => {
  const { judged_body, chunked_body } = gateway.settings
  return headRoom + Math.max(chunked_body, 102_400, gateway.listed || hasNodes(gateway) ? judged_body : 0)
}

/** How large HAProxy's buffers are. From 3.4 on heads and answers have its ordinary 16 KB, and only a body that is waited for and does not fit there gets a large one; older ones have one size for all. */
export function buffers(gateway: Gateway): string[] {
  const size = bufferSize(gateway)
  const large = [`tune.bufsize.large ${size}`, ...(gateway.listed ? [`tune.bufsize ${listRoom}`] : [])]
  return eitherOf(largeSince, large, [`tune.bufsize ${size}`])
}

/** Waits for a body, or for so much of it as `how` says, where the condition holds. */
export const waitForBody = (how: string, condition: string): string[] => {
  const rule = (words: string) => `http-request wait-for-body time 60s ${words}if ${condition}`
  return eitherOf(largeSince, [rule(`${how}use-large-buffer `)], [rule(how)])
}
