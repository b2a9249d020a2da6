import { ask, type Gateway, gateway, info, look, mac, numbers } from './mac.ts'
import { step } from './step.ts'

/** The log that every request goes into, the older piece first. */
async function lines(): Promise<string[]> {
  const pieces = await Promise.all([look.read(`${mac.access}.1`), look.read(mac.access)])
  return pieces.flatMap((text) => (text ?? '').split('\n')).filter((line) => line !== '')
}

function isJson(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object'
  } catch {
    return false
  }
}

/** Refusals, so many at once; gives how many were not refused. */
async function storm(at: Gateway, mark: string, count: number, together: number): Promise<number> {
  let next = 0
  let wrong = 0
  const one = async () => {
    while (next < count) {
      next += 1
      if ((await ask(at, `/api/${mark}-${next}`)).status !== 403) wrong += 1
    }
  }
  await Promise.all(Array.from({ length: together }, one))
  return wrong
}

const dropped = async (): Promise<number> => Number((await info()).DroppedLogs ?? 0)

/** Step 10: a burst of refusals, each of which is a line of the log or a counted loss, and no line is half of one. */
await step('log', async (row) => {
  const { count, together } = numbers({ count: 5000, together: 50 })
  const at = await gateway(row)
  if (!at) return
  if (at.settings.observer === 'off') return row.skip('the log', 'the observer is switched off in settings.yaml')
  const mark = `real-mac-${process.pid}`
  const before = { dropped: await dropped(), bad: (await lines()).filter((line) => !isJson(line)).length }
  const wrong = await storm(at, mark, count, together)
  row.holds(`${count} requests, ${together} at once, are refused`, wrong === 0, `${wrong} were not`)
  const logged = async () => (await lines()).filter((line) => line.includes(`/${mark}-`))
  const lost = async () => (await dropped()) - before.dropped
  const all = await look.until(
    'every refusal is written or counted',
    60_000,
    async () => (await logged()).length + (await lost()) >= count,
  )
  const sum = `${(await logged()).length} lines, ${await lost()} counted as lost`
  row.holds(
    'each is a line of the log, or counted as lost',
    all && (await logged()).length + (await lost()) === count,
    sum,
  )
  row.note(sum)
  const bad = (await lines()).filter((line) => !isJson(line)).length - before.bad
  row.holds('every line is whole', bad === 0, `${bad} lines are no JSON`)
})
