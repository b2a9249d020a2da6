import type { Look } from '../../host/host.ts'
import { type Check, type Finding, missed, ok } from '../../steps/step.ts'
import { filled, type RecipeCheck } from './book.ts'

const askedAt = { http: 80, https: 443 } as const

async function dns(look: Look, name: string, type: 'A' | 'CNAME' | undefined, resolver: string): Promise<Finding> {
  // A name with an address of its own is as good as an alias, and a server answers a question for the other one with nothing.
  const alias = type === 'CNAME' ? ((await look.resolve({ resolver, name, type })) ?? []) : []
  const found = alias.length > 0 ? alias : await look.resolve({ resolver, name })
  if (found === undefined) return missed(`${resolver} gives no answer`, 'Name one that answers with --resolver.')
  return found.length > 0 ? ok(found.join(', ')) : missed(`it has no ${type ?? 'A'} record of it`, 'Add the record.')
}

async function http(look: Look, check: RecipeCheck, url: URL, resolver: string | undefined): Promise<Finding> {
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  const [address = url.hostname] = resolver ? ((await look.resolve({ resolver, name: url.hostname })) ?? []) : []
  const { status, body, error, headers } = await look.probe({
    address,
    port: Number(url.port || askedAt[scheme]),
    method: check.head ? 'HEAD' : 'GET',
    target: url.pathname,
    headers: { host: url.host },
    ...(scheme === 'https' ? { tlsName: url.hostname } : {}),
  })
  const good = status === check.status && (check.has === undefined || body.includes(check.has))
  const saw =
    status === 0
      ? `no answer from ${url.host}: ${error ?? 'nothing came'}`
      : `${status}${headers.location ? ` to ${headers.location}` : ''}`
  return good ? ok(saw) : missed(`${saw}; ${check.status} is expected`, `See what runs there: docker compose ps`)
}

/** What is to hold once a stack runs, each as a check; a resolver (address) where one is named, else this machine's own names count. */
export const recipeChecks = (all: RecipeCheck[], values: Record<string, string>, resolver?: string): Check[] =>
  all.flatMap((check) => {
    const { name, type } = check
    const url = filled(check.get ?? check.head ?? '', values)
    if (name !== undefined && resolver === undefined) return []
    return {
      id: check.id,
      title: filled(check.title, values),
      check: (look: Look) =>
        name !== undefined
          ? dns(look, filled(name, values), type, resolver ?? '')
          : http(look, check, new URL(url), resolver),
    }
  })
