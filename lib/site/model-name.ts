import { z } from 'zod'

/** What Ollama accepts as a name, without what a shell or a path could make of it (200 characters at most). */
export const modelName = z
  .string()
  .max(200, 'a model name has 200 characters at most')
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?$/,
    'a model name such as qwen3:8b (letters, digits, . _ - / and one colon)',
  )
