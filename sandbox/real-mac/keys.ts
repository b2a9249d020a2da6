import { ask, ending, type Gateway, gateway, numbers, script, withSettings } from './mac.ts'
import { type Step, step } from './step.ts'

interface Count {
  /** keys.ts said that it is so, and it was not */
  untrue: string[]
  /** keys.ts said itself that the change is not in force */
  told: number
}

/** The first request after a change; it must be answered as the change says. */
async function asked(at: Gateway, key: string, wanted: number): Promise<string | undefined> {
  const { status, end } = await ask(at, '/v1/models', { key })
  return status === wanted ? undefined : `${status} (${end}) instead of ${wanted}`
}

async function changed(at: Gateway, words: string[], key: string | undefined, wanted: number, count: Count) {
  const said = await script('keys.ts', ...words)
  const made = key ?? (/"key":\s*"([^"]+)"/.exec(said.stdout)?.[1] || 'none')
  const wrong = await asked(at, made, wanted)
  if (said.code === 5) count.told += 1
  else if (said.code !== 0) count.untrue.push(`${words.join(' ')} ${ending(said)}`)
  else if (wrong !== undefined) count.untrue.push(`${words.join(' ')}: ${wrong}`)
  return made
}

async function rounds(row: Step, at: Gateway, times: number): Promise<void> {
  const count: Count = { untrue: [], told: 0 }
  for (let round = 1; round <= times; round += 1) {
    const name = `real-mac-${round}`
    const key = await changed(at, ['add', name, '--json'], undefined, 200, count)
    await changed(at, ['revoke', name, '--json'], key, 401, count)
  }
  row.note(`${times} keys added and revoked; ${count.told} times keys.ts said that the change is not in force`)
  const some = count.untrue.slice(0, 3).join('; ')
  row.holds(
    'what keys.ts says is true at the next request',
    count.untrue.length === 0,
    `${count.untrue.length}: ${some}`,
  )
}

/** Step 8: keys are made and revoked; after each the next request is let in or refused. */
await step('keys', async (row) => {
  const { rounds: times } = numbers({ rounds: 500 })
  const at = await gateway(row)
  if (at) await withSettings(row, ['access'], 'keys', () => rounds(row, at, times))
})
