import { randomBytes } from 'node:crypto'
import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { Unfit } from './judge.ts'
import { authority, newKey, opensslOf, signed } from './openssl.ts'
import { type Authority, factsIn } from './pair.ts'
import { serialsOfAuthority } from './swap.ts'

const folderOf = (look: Look): string => `${places(look).state}/client-ca`
const keyFile = (look: Look): string => `${folderOf(look)}/root.key`

/** The authority that HAProxy asks client certificates to be of; it lies with the certificates that are served. */
export const clientAuthorityFile = (look: Look): string => `${places(look).certs}/clients.pem`

const [rootDays, leafDays] = [3650, 825]

/** Makes the authority of client certificates where there is none. A certificate of it opens nothing by itself: only one whose fingerprint is on the list of keys does. */
export async function ensureClientAuthority(host: Host): Promise<void> {
  if (await heldClientAuthority(host)) return
  const key = newKey()
  await host.folder(folderOf(host))
  const root = await signed(host, {
    folder: folderOf(host),
    title: 'remote-ollama-proxy clients',
    key,
    days: rootDays,
    extensions: authority,
  })
  if (root !== undefined) await keepClientAuthority(host, { certificate: root, key })
}

/** What this machine has of it; undefined where it is not whole. */
export async function heldClientAuthority(look: Look): Promise<Authority | undefined> {
  const [certificate, key] = await Promise.all([look.read(clientAuthorityFile(look)), look.read(keyFile(look))])
  return certificate !== undefined && key !== undefined && factsIn(certificate) ? { certificate, key } : undefined
}

/** Keeps an authority as this machine's, in the place of the one that it had, whose certificates then shake no hands any more. */
export async function keepClientAuthority(host: Host, { certificate, key }: Authority): Promise<void> {
  await host.folder(folderOf(host))
  await host.folder(places(host).certs)
  await host.write(keyFile(host), key)
  await host.write(clientAuthorityFile(host), certificate)
}

/** Whether the certificates that the running worker asks for are of the authority that is kept; undefined where it asks for none. */
export async function asksForKept(look: Look): Promise<boolean | undefined> {
  const file = clientAuthorityFile(look)
  const [held, serials] = [factsIn(await look.read(file)), await serialsOfAuthority(look, file)]
  return serials.length === 0 ? undefined : held !== undefined && serials.includes(held.serial)
}

/** A client certificate as it is handed over. */
export interface ClientCertificate {
  /** SHA-256 of its DER, hex in capitals as HAProxy writes it */
  sha256: string
  /** opens the file; said once and kept nowhere */
  password: string
}

/** Makes a certificate for somebody and writes it with its key into a PKCS#12 file that its owner alone may read. Throws `Unfit` where openssl makes none. */
export async function makeClientCertificate(host: Host, name: string, file: string): Promise<ClientCertificate> {
  await ensureClientAuthority(host)
  const key = newKey()
  const folder = folderOf(host)
  const leaf = await signed(host, {
    ...{ folder, key, title: name, days: leafDays },
    by: { certificate: clientAuthorityFile(host), key: keyFile(host) },
    extensions: [
      'basicConstraints = critical,CA:FALSE',
      'keyUsage = critical,digitalSignature',
      'extendedKeyUsage = clientAuth',
      'authorityKeyIdentifier = keyid',
    ],
  })
  const facts = factsIn(leaf)
  if (leaf === undefined || !facts) throw new Unfit(`No certificate for ${name} was made: openssl gave none.`)
  const password = randomBytes(12).toString('base64url')
  await pack(host, { folder, file, name, pem: `${leaf}\n${key}`, password })
  return { sha256: facts.leaf.fingerprint256.replaceAll(':', ''), password }
}

/** The password goes by a file, since others may read an argument. */
async function pack(
  host: Host,
  { folder, file, name, pem, password }: Record<'folder' | 'file' | 'name' | 'pem' | 'password', string>,
): Promise<void> {
  const openssl = await opensslOf(host)
  const [whole, word] = [`${folder}/making/whole`, `${folder}/making/word`]
  await host.folder(`${folder}/making`)
  try {
    await host.write(whole, pem)
    await host.write(word, `${password}\n`)
    // First made for its owner alone, since openssl keeps the mode of a file that is there.
    await host.write(file, '')
    await host.run([
      openssl,
      'pkcs12',
      '-export',
      '-in',
      whole,
      '-name',
      name,
      '-passout',
      `file:${word}`,
      '-out',
      file,
    ])
  } finally {
    await host.remove(`${folder}/making`)
  }
}
