/** What counts as "not yet". */
type Nothing = undefined | null | false | 0 | ''

/**
 * Polls until `test` gives something that is not nothing, and gives that; what it throws counts as "not yet".
 * Fails with the name, and with the last error, after the time (ms, 30 s unless told).
 */
export async function eventually<T>(
  what: string,
  test: () => T | Promise<T>,
  withinMs = 30_000,
): Promise<Exclude<T, Nothing>> {
  const deadline = Date.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const found = await test()
      if (found) return found as Exclude<T, Nothing>
      last = undefined
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
