import { isIP } from 'node:net'
import { z } from 'zod'

const fileWords = 'a file from / or ~/ on'
const file = z
  .string(fileWords)
  .max(500, fileWords)
  .regex(/^(~\/|\/)[^\p{Cc}]*[^\s"'\p{Cc}/]$/u, fileWords)

const directoryWords = 'an address of an ACME directory such as https://acme-v02.api.letsencrypt.org/directory'
const directory = z.url({ protocol: /^https$/, error: directoryWords })

const resolverWords = 'an address of a DNS server, such as 9.9.9.9 or 9.9.9.9:53'
const resolver = z
  .string(resolverWords)
  .refine(
    (text) => isIP(text) !== 0 || isIP(/^\[?([\da-f.:]+?)\]?:\d{1,5}$/i.exec(text)?.[1] ?? '') !== 0,
    resolverWords,
  )

const letsEncrypt = (host: string) => `https://${host}.api.letsencrypt.org/directory`
const production = letsEncrypt('acme-v02')

const portWords = 'a port from 1024 to 65535, without quotes'

/** How certificates come from an authority that speaks ACME (RFC 8555). */
export const acme = z.strictObject({
  email: z.email('an address such as ann@example.net, which the authority knows the account by').optional(),
  dns: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/, 'a DNS provider as lego calls it, such as route53 (`lego dnshelp` lists them)')
    .optional(),
  credentials: file.default('~/.config/remote-ollama-proxy/acme.env'),
  directory: directory.default(production),
  staging: z.union([directory, z.literal('off')], `${directoryWords}, or off`).optional(),
  ca: file.optional(),
  resolvers: z.array(resolver).default([]),
  check_dns: z.boolean('true or false').default(true),
  port: z.int(portWords).min(1024, portWords).max(65_535, portWords).default(11_437),
})

export type Acme = z.infer<typeof acme>

/** Where a first order is tried before it counts; undefined where there is no such place. */
export function stagingOf({ directory, staging }: Pick<Acme, 'directory' | 'staging'>): string | undefined {
  if (staging !== undefined) return staging === 'off' ? undefined : staging
  return directory === production ? letsEncrypt('acme-staging-v02') : undefined
}
