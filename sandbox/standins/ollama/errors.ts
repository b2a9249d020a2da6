/** A refusal with its status, in Ollama's own words; each family of routes gives it its own shape. */
export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The request was dropped by the loader because its client had left: its handler never returns. */
export class Leaked extends Error {}

/** The client hung up while its answer was made. */
export class HungUp extends Error {}

/** The connection is to be cut without an end of the body. */
export class Cut extends Error {}

export const wait = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    if (signal?.aborted) done()
    else signal?.addEventListener('abort', done)
  })
