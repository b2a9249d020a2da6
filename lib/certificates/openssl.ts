import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Host, Look } from '../host/host.ts'
import { Unfit } from './judge.ts'

/** A new private key (P-256) in PEM form; made here, so that it is never in a file that others may read. */
export const newKey = (): string => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return `${privateKey.export({ type: 'pkcs8', format: 'pem' })}`
}

/** What makes a certificate one that signs others, and no further authority. */
export const authority = [
  'basicConstraints = critical,CA:TRUE,pathlen:0',
  'keyUsage = critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier = hash',
]

/** What is to be signed. */
export interface Signing {
  /** a folder that nobody else may read, in which the work is done */
  folder: string
  /** common name, which people see in lists of roots; absent for servers, whose names stand elsewhere */
  title?: string
  key: string
  /** lines of extensions, as openssl has them */
  extensions: string[]
  days: number
  /** files of the one who signs; itself unless told */
  by?: { certificate: string; key: string }
}

/** The program; throws `Unfit` where there is none. */
export async function opensslOf(look: Look): Promise<string> {
  const openssl = await look.find(['openssl', '/usr/bin/openssl'])
  if (!openssl) throw new Unfit('No certificate was made: openssl is not on this machine; install it.')
  return openssl
}

/** Has openssl (LibreSSL on a Mac) make a certificate for a key; undefined where nothing came of it. */
export async function signed(host: Host, signing: Signing): Promise<string | undefined> {
  const openssl = await opensslOf(host)
  const at = (name: string) => `${signing.folder}/making/${name}`
  const { title, extensions, days, by } = signing
  const subject = title === undefined ? '' : `CN = ${title}\n`
  await host.folder(at(''))
  try {
    await host.write(at('key'), signing.key)
    await host.write(
      at('config'),
      `[req]\ndistinguished_name = name\nprompt = no\nutf8 = yes\n[name]\n${subject}[own]\n${extensions.join('\n')}\n`,
    )
    // An empty name is one that openssl has no other way to ask for.
    const named = title === undefined ? ['-subj', '/'] : []
    await host.run([
      openssl,
      'req',
      '-new',
      '-sha256',
      '-key',
      at('key'),
      '-config',
      at('config'),
      ...named,
      '-out',
      at('request'),
    ])
    const signer = by ? ['-CA', by.certificate, '-CAkey', by.key] : ['-signkey', at('key')]
    // Positive, and of 16 bytes that nobody can guess.
    const serial = `0x01${randomBytes(15).toString('hex')}`
    const own = ['-set_serial', serial, '-days', `${days}`, '-sha256', '-extfile', at('config'), '-extensions', 'own']
    await host.run([openssl, 'x509', '-req', '-in', at('request'), ...signer, ...own, '-out', at('certificate')])
    return await host.read(at('certificate'))
  } finally {
    await host.remove(`${signing.folder}/making`)
  }
}
