import type { Host, Look } from '../host/host.ts'
import { places } from '../platform/here.ts'
import { type Acme, stagingOf } from '../site/acme.ts'
import { refusalIn } from './acme-faults.ts'
import { Unfit } from './judge.ts'
import { type Lego, legoFiles, legoHere, legoWords, migrateWords, type Order, ofLine4 } from './lego.ts'
import { factsIn, isDue } from './pair.ts'
import { type Brought, fromHome, type Wanted } from './source.ts'

/** The same with the ms after which it is worth another try. */
export class Later extends Unfit {
  readonly again: number

  constructor(message: string, again: number) {
    super(message)
    this.again = again
  }
}

/** A folder for each directory: accounts are the directory's, and what one issued is nothing of another's. */
const folderOf = (look: Look, directory: string): string =>
  `${places(look).state}/acme/${directory.replace(/^https:\/\//, '').replaceAll(/[^\w.-]+/g, '_')}`

/** From an authority by lego. What lies in its folder counts, whoever put it there; a first order is tried with a staging authority. */
export async function fromAcme(host: Host, { name, settings: { acme }, due }: Wanted): Promise<Brought> {
  const order = { name, directory: acme.directory, folder: folderOf(host, acme.directory), acme }
  const first = !(await lying(host, order))
  if (due || first) await obtain(host, order, first)
  let pem: string | undefined
  const left = async () => {
    pem = await lasting(host, order)
    return pem !== undefined
  }
  // The verdict is what `until` says, so that a host that only says what it would do sees no failure.
  if (!(await host.until('', 0, left)))
    throw not(name, 'lego ended without leaving a new one', 'run it again with --verbose and look what lego says')
  return pem === undefined ? undefined : { pem, source: `from ${new URL(acme.directory).host} by lego` }
}

async function obtain(host: Host, order: Order, first: boolean): Promise<void> {
  const { name, acme } = order
  const lego = await legoHere(host)
  if (!lego) throw not(name, 'lego is not installed', 'install it: rop install')
  if (name.startsWith('*.') && acme.dns === undefined)
    throw not(name, 'a wildcard can only be proven by DNS', 'name your provider by acme.dns in settings.yaml')
  if (lego.line === 4 && acme.email === undefined)
    throw not(name, 'this lego wants an address for the account', 'set acme.email in settings.yaml')
  const env = await environment(host, name, acme)
  const staging = stagingOf(acme)
  if (first && staging !== undefined) {
    const trial = { ...order, directory: staging, folder: folderOf(host, staging) }
    const passed = factsIn(await lying(host, trial))
    if (!passed || isDue(passed)) await run(host, lego, trial, env)
  }
  await run(host, lego, order, env)
}

async function run(host: Host, lego: Lego, order: Order, env: Record<string, string>): Promise<void> {
  await host.folder(order.folder)
  const any = [...Array(256).keys()]
  if (lego.line === 5 && (await ofLine4(host, order.folder))) await host.run(migrateWords(lego, order.folder))
  // lego 4 leaves the key of the account open to others.
  const words = ['sh', '-c', 'umask 077 && exec "$@"', 'lego', ...legoWords(lego, order)]
  const { code, stdout, stderr } = await host.run(words, { env, codes: any, timeoutMs: 900_000, secret: true })
  if (code === 0) return
  const { seen, todo, again } = refusalIn(hidden(`${stdout}\n${stderr}`, env))
  throw new Later(
    `No certificate for ${order.name} came from ${new URL(order.directory).host}: ${seen}; ${todo}. It is tried again in ${spoken(again)}.`,
    again,
  )
}

const spoken = (ms: number): string =>
  ms < 3_600_000
    ? `${Math.ceil(ms / 60_000)} minutes`
    : ms < 7_200_000
      ? 'an hour'
      : `${Math.ceil(ms / 3_600_000)} hours`

const not = (name: string, seen: string, todo: string): Unfit =>
  new Unfit(`No certificate for ${name} was ordered: ${seen}; ${todo}.`)

/** What lego left for a name, but for one whose time is over. */
async function lasting(look: Look, order: Order): Promise<string | undefined> {
  const pem = await lying(look, order)
  const until = factsIn(pem)?.until.getTime() ?? Number.POSITIVE_INFINITY
  return until > Date.now() ? pem : undefined
}

/** What lego left for a name, chain and key; undefined when there is none. */
async function lying(look: Look, { folder, name }: Pick<Order, 'folder' | 'name'>): Promise<string | undefined> {
  const { chain, key } = legoFiles(folder, name)
  const [certificate, secret] = [await look.read(chain), await look.read(key)]
  return certificate !== undefined && secret !== undefined ? `${certificate}\n${secret}` : undefined
}

/** The credentials of the DNS provider, which no argument and no log ever holds. */
async function environment(host: Host, name: string, { dns, credentials, ca }: Acme): Promise<Record<string, string>> {
  const root: Record<string, string> = ca === undefined ? {} : { LEGO_CA_CERTIFICATES: fromHome(host.home, ca) }
  if (dns === undefined) return root
  const file = fromHome(host.home, credentials)
  const facts = await host.stat(file)
  if (!facts) throw not(name, `the credentials of ${dns} are not there`, `write them to ${credentials} as NAME=VALUE`)
  if ((facts.mode & 0o077) !== 0)
    throw not(
      name,
      `others may read the credentials (${credentials}, mode ${facts.mode.toString(8)})`,
      `close it: chmod 600 ${credentials}`,
    )
  return { ...variablesIn((await host.read(file)) ?? ''), ...root }
}

/** Lines NAME=VALUE, as a shell or systemd would write them. */
export const variablesIn = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(/\r?\n/).flatMap((line): [string, string][] => {
      const [, name, value = ''] = /^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*?)\s*$/.exec(line) ?? []
      return name ? [[name, value.replace(/^(["'])(.*)\1$/, '$2')]] : []
    }),
  )

/** A provider's complaint may repeat what it was given. */
const hidden = (said: string, env: Record<string, string>): string =>
  Object.values(env)
    .filter((value) => value.length > 5)
    .reduce((text, value) => text.replaceAll(value, '…'), said)
