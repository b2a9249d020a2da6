import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { z } from 'zod'

const fileWords = 'a file from / or ~/ on, such as /etc/letsencrypt/live/ai.example.net/fullchain.pem'

const file = z
  .string(fileWords)
  .max(500, fileWords)
  .regex(/^(~\/|\/)[^\p{Cc}]*[^\s"'\p{Cc}/]$/u, fileWords)

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
const plainName = new RegExp(`^(\\*\\.)?${label}(\\.${label})*$`)

/** Why a text is no name that a certificate and a handshake (SNI, RFC 6066 §3) can have; undefined when it is one. */
function fault(name: string): string | undefined {
  if (isIP(name.replace(/^\[|\]$/g, ''))) return 'a name, since a handshake cannot ask for an address (SNI)'
  const ascii = /[^\p{ASCII}]/u.test(name) && domainToASCII(name)
  if (ascii) return `a name in the letters of DNS; write it as ${ascii}`
  if (plainName.test(name) && name.length <= 253) return undefined
  return plainName.test(name.toLowerCase())
    ? `a name in small letters: ${name.toLowerCase()}`
    : 'a name such as ai.example.net, or *.example.net for all below it; without port, path and last dot'
}

/** What a certificate is for: a name, or all names below one. */
export const certificateName = z.string().superRefine((name, context) => {
  const message = fault(name)
  if (message) context.addIssue({ code: 'custom', message })
})

const sourceWords = 'tailscale, acme, own-ca, or { chain: FILE, key: FILE }'

/** Where the certificate of a name comes from. */
const source = z.union(
  [z.enum(['tailscale', 'acme', 'own-ca']), z.strictObject({ chain: file, key: file })],
  sourceWords,
)

/** The certificates by name; each is kept as one PEM file, the chain and then the key. */
export const tls = z.record(certificateName, source)

export type Tls = z.infer<typeof tls>
export type CertificateSource = Tls[string]

/** The file name of a certificate's PEM in the folder of the certificates: `ai.example.net.pem`, `_.example.net.pem` for a wildcard. */
export const pemName = (name: string): string => `${name.replace('*', '_')}.pem`

/** Whether a certificate for `pattern` serves a name; a wildcard stands for one label (RFC 6125 §6.4.3). */
export const covers = (pattern: string, name: string): boolean =>
  pattern === name || (pattern.startsWith('*.') && name.replace(/^[^.]+/, '*') === pattern)
