import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate with its key, both PEM. */
export interface Certificate {
  cert: string
  key: string
}

/** Signs certificates as long as the test runs; nobody else trusts it. */
export interface Authority extends Certificate {
  /** for a server of these names */
  server(...names: string[]): Certificate
  /** for somebody who shows it to a server */
  client(name: string): Certificate
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '5']

/** Runs openssl's `req`, and gives what it made. */
function made(subject: string, extensions: string[], signer?: Certificate): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  const file = (name: string) => join(folder, name)
  try {
    const by = signer ? ['-CA', file('ca.pem'), '-CAkey', file('ca.key')] : []
    if (signer) writeFileSync(file('ca.pem'), signer.cert)
    if (signer) writeFileSync(file('ca.key'), signer.key, { mode: 0o600 })
    const own = extensions.flatMap((extension) => ['-addext', extension])
    const out = ['-keyout', file('key'), '-out', file('cert')]
    execFileSync('openssl', ['req', '-x509', ...curve, ...by, '-subj', `/CN=${subject}`, ...own, ...out], {
      stdio: 'pipe',
    })
    return { cert: readFileSync(file('cert'), 'utf8'), key: readFileSync(file('key'), 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A small authority, made with openssl. */
export function authority(name: string): Authority {
  const own = made(name, [])
  const leaf = (subject: string, use: string, ...more: string[]) =>
    made(subject, ['basicConstraints=critical,CA:FALSE', `extendedKeyUsage=${use}`, ...more], own)
  return {
    ...own,
    server: (...names) =>
      leaf(names[0] ?? '', 'serverAuth', `subjectAltName=${names.map((one) => `DNS:${one}`).join()}`),
    client: (subject) => leaf(subject, 'clientAuth'),
  }
}

/** A PEM as HAProxy takes it: the chain, then the key. */
export const pem = ({ cert, key }: Certificate): string => `${cert}${key}`

/** By which a client's certificate is known: SHA-256 of its DER, in capitals. */
export const fingerprintOf = ({ cert }: Certificate): string =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('hex').toUpperCase()

/** By which Chromium knows a key that it may trust: SHA-256 of the public key, in base64. */
export const spkiOf = ({ cert }: Certificate): string =>
  createHash('sha256')
    .update(new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
