import { Resolver } from 'node:dns/promises'

/** A name, and who is asked for its addresses: an address, with `:PORT` or `[…]:PORT` where that is not 53. */
export interface Lookup {
  resolver: string
  name: string
  /** whose records; the addresses of both families where none is told */
  type?: 'A' | 'CNAME'
}

/** What says that the resolver answered, and knows none (c-ares' words). */
const none = ['ENOTFOUND', 'ENODATA']

/** What a resolver gives for a name, sorted: addresses, or the name behind an alias; undefined when it gives no answer within 2 s. */
export async function resolve({ resolver, name, type }: Lookup): Promise<string[] | undefined> {
  const asked = new Resolver({ timeout: 2000, tries: 1 })
  asked.setServers([resolver])
  const answers =
    type === 'CNAME' ? [asked.resolveCname(name)] : [asked.resolve4(name), ...(type ? [] : [asked.resolve6(name)])]
  const families = answers.map((answer) =>
    answer.catch((error: NodeJS.ErrnoException) => (none.includes(error.code ?? '') ? [] : undefined)),
  )
  const found = await Promise.all(families)
  return found.every((one) => one === undefined) ? undefined : found.flatMap((one) => one ?? []).sort()
}
