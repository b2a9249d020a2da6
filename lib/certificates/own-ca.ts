import { hostname } from 'node:os'
import type { Host, Look } from '../host/host.ts'
import { typed } from '../host/typed.ts'
import { places } from '../platform/here.ts'
import type { Settings } from '../site/settings.ts'
import { covers } from '../site/tls.ts'
import { Unfit } from './judge.ts'
import { authority, newKey, signed } from './openssl.ts'
import { type Authority, type Facts, factsIn } from './pair.ts'
import type { Brought, Wanted } from './source.ts'

const folderOf = (look: Look): string => `${places(look).state}/own-ca`
/** The root that clients are to trust; its key lies beside it. */
export const rootFile = (look: Look): string => `${folderOf(look)}/root.pem`
const keyFile = (look: Look): string => `${folderOf(look)}/root.key`
/** The names that it may sign for, a line each. */
const namesFile = (look: Look): string => `${folderOf(look)}/names`

const [rootDays, leafDays] = [3650, 90]

/** The names that settings want from it. */
export const ownNames = ({ tls }: Pick<Settings, 'tls'>): string[] =>
  Object.keys(tls).filter((name) => tls[name] === 'own-ca')

/** Names that the root may sign for (RFC 5280 §4.2.1.10): these, what is below them, and no address. */
const constraints = (names: string[]): string => {
  const permitted = names.map((name) => `permitted;DNS:${name.replace(/^\*\./, '')}`)
  return [...permitted, 'excluded;IP:0.0.0.0/0.0.0.0', 'excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0'].join(',')
}

/** Makes a root that may sign for these names and nothing else. What an earlier one signed is trusted no longer once clients have the new one. */
export async function makeRoot(host: Host, names: string[]): Promise<void> {
  const key = newKey()
  await host.folder(folderOf(host))
  const root = await signed(host, {
    folder: folderOf(host),
    title: `remote-ollama-proxy of ${hostname().split('.')[0]}`,
    key,
    days: rootDays,
    extensions: [...authority, `nameConstraints = critical,${constraints(names)}`],
  })
  if (root !== undefined) await keepRoot(host, { certificate: root, key, names })
}

/** The names that the root on this machine may sign for; undefined where there is none. */
export async function rootNames(look: Look): Promise<string[] | undefined> {
  const text = await look.read(namesFile(look))
  return factsIn(await look.read(rootFile(look))) && text?.trim().split('\n')
}

/** A root and the names that it may sign for. */
export interface Root extends Authority {
  names: string[]
}

/** The root of this machine; undefined where there is none. */
export async function heldRoot(look: Look): Promise<Root | undefined> {
  const [certificate, key] = await Promise.all([look.read(rootFile(look)), look.read(keyFile(look))])
  const names = await rootNames(look)
  return certificate === undefined || key === undefined || !names ? undefined : { certificate, key, names }
}

/** Keeps a root as this machine's, in the place of the one that it had. */
export async function keepRoot(host: Host, { certificate, key, names }: Root): Promise<void> {
  await host.folder(folderOf(host))
  await host.write(keyFile(host), key)
  await host.write(rootFile(host), certificate)
  await host.write(namesFile(host), `${names.join('\n')}\n`)
}

/** Whether a root that is for one name may sign for another, too. */
const permits = (permitted: string, name: string): boolean =>
  permitted === name || name.endsWith(`.${permitted.replace(/^\*\./, '')}`) || covers(permitted, name)

/** From the small authority of this machine: made when it is first needed, a new certificate when a third of its life is left. */
export async function fromOwnCa(host: Host, { name, settings, held, due }: Wanted): Promise<Brought> {
  if (!(await rootNames(host))) await makeRoot(host, ownNames(settings))
  else if (!due && held && (await isFromRoot(host, held))) return undefined
  const names = await rootNames(host)
  if (!names) return undefined
  if (!names.some((one) => permits(one, name)))
    throw new Unfit(
      `No certificate for ${name} was made: the root of this machine may sign for ${names.join(', ')} only; ${typed('certificates root --new')} makes one for all names of settings.yaml, which every client must then be given.`,
    )
  const root = factsIn(await host.read(rootFile(host)))
  if (root && root.until < new Date())
    throw new Unfit(
      `No certificate for ${name} was made: the root of this machine has expired; ${typed('certificates root --new')} makes a new one, which every client must then be given.`,
    )
  const key = newKey()
  const leaf = await signed(host, {
    folder: folderOf(host),
    key,
    days: leafDays,
    by: { certificate: rootFile(host), key: keyFile(host) },
    extensions: [
      'basicConstraints = critical,CA:FALSE',
      'keyUsage = critical,digitalSignature',
      'extendedKeyUsage = serverAuth',
      'authorityKeyIdentifier = keyid',
      // A certificate without a subject has its names in a critical extension (RFC 5280 §4.2.1.6).
      `subjectAltName = critical,DNS:${name}`,
    ],
  })
  return leaf === undefined ? undefined : { pem: `${leaf}\n${key}`, source: 'from the authority of this machine' }
}

/** Whether the root that clients are to trust now issued it. */
export async function isFromRoot(look: Look, { leaf }: Pick<Facts, 'leaf'>): Promise<boolean> {
  const root = factsIn(await look.read(rootFile(look)))
  return root !== undefined && leaf.checkIssued(root.leaf)
}

/** What keeps a listener able to start until a certificate has come: for this name, by nobody, for a week. */
export async function placeholder(host: Host, name: string): Promise<string | undefined> {
  const key = newKey()
  const leaf = await signed(host, {
    folder: folderOf(host),
    title: placeholderTitle,
    key,
    days: 7,
    extensions: [
      'basicConstraints = critical,CA:FALSE',
      'extendedKeyUsage = serverAuth',
      `subjectAltName = DNS:${name}`,
    ],
  })
  return leaf === undefined ? undefined : `${leaf}\n${key}`
}

export const placeholderTitle = 'remote-ollama-proxy placeholder'
