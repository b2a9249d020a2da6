import { exitCodes, Stop } from '../host/command.ts'
import type { Entry, Registry } from '../site/limits.ts'
import { hashKey } from './key.ts'
import { parseRegistry } from './registry.ts'

/** Reads an export of ours, or the keys file of an nginx gateway (`"Bearer KEY" 1;` a line), whose keys are hashed and named imported-N. Throws `Stop` (exit 2). */
export function readImport(text: string, file: string, now = new Date()): Registry {
  if (text.trimStart().startsWith('{')) return parseRegistry(text, file)
  const lines = text.split('\n').map((line) => line.trim())
  const found = lines.flatMap((line) => {
    const [, key, value] = /^"Bearer ([^\s"]+)"\s+("[^"]*"|[^\s;]+);/i.exec(line) ?? []
    return key === undefined ? [] : [{ key, opens: !['0', '""', '"0"'].includes(value ?? '') }]
  })
  // What the map refuses stays refused; a key on two lines is one key.
  const refused = found.filter(({ opens }) => !opens).map(({ key }) => key)
  const keys = [...new Set(found.map(({ key }) => key))].filter((key) => !refused.includes(key))
  const strange = lines.findIndex((line) => line !== '' && !/^(#|default\b|"Bearer |map\b|\}|"")/i.test(line))
  if (keys.length === 0 || strange >= 0)
    throw new Stop(
      exitCodes.usage,
      `${file} is neither an export of keys.ts nor nginx lines such as "Bearer KEY" 1;${strange >= 0 ? ` (line ${strange + 1})` : ''}; nothing was changed.`,
    )
  const entries = keys.map((key, at): [string, Entry] => [
    `imported-${at + 1}`,
    { created: now.toISOString(), hashes: [{ sha256: hashKey(key) }] },
  ])
  return { version: 1, keys: Object.fromEntries(entries) }
}
