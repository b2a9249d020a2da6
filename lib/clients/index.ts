import { agents } from './agents.ts'
import { aider } from './aider.ts'
import { chats } from './chats.ts'
import { claude } from './claude.ts'
import type { Client } from './client.ts'
import { codex } from './codex.ts'
import { copilot } from './copilot.ts'
import { editors } from './editors.ts'
import { javascript } from './javascript.ts'
import { opencode } from './opencode.ts'
import { others } from './others.ts'
import { python } from './python.ts'
import { qwen } from './qwen.ts'

/** Every client that is known, in the order in which they are shown. */
export const clients: Client[] = [
  ...[claude, codex, opencode, qwen, copilot, aider],
  ...[agents, editors, chats, javascript, python, others].flat(),
]
