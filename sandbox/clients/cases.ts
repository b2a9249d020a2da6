/** What one case came to: what the client gave its caller, or the error that it threw. */
export interface Case {
  name: string
  saw?: unknown
  error?: { kind: string; status?: number; message: string }
}

function described(error: unknown): NonNullable<Case['error']> {
  const { status, status_code: nativeStatus } = error as { status?: number; status_code?: number }
  const message = error instanceof Error ? error.message : String(error)
  return {
    kind: error instanceof Error ? error.constructor.name : typeof error,
    status: status ?? nativeStatus,
    message,
  }
}

/** Runs the cases in order and prints a line of JSON for each; one that throws is a line like the others. */
export async function runCases(cases: Record<string, () => Promise<unknown>>): Promise<void> {
  for (const [name, work] of Object.entries(cases)) {
    const line: Case = await work().then(
      (saw) => ({ name, saw }),
      (error: unknown) => ({ name, error: described(error) }),
    )
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
}

/** The words that follow a client program's name on its command line, and the API key of its environment. */
export function given(): { base: string; model: string; thinker: string; key: string } {
  const [base = '', model = '', thinker = ''] = process.argv.slice(2)
  return { base, model, thinker, key: process.env.CLIENT_KEY ?? 'ollama' }
}

/** One tool, as a JSON schema. */
export const weather = {
  name: 'get_weather',
  description: 'the weather of a city',
  schema: { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] },
}
