import type { Look } from '../host/host.ts'
import { platformOf } from '../platform/here.ts'
import type { Acme } from '../site/acme.ts'

/** lego's two command lines: 4 (Debian has 4.9) and 5 (Homebrew), whose options go behind the verb and have other names. */
export interface Lego {
  program: string
  line: 4 | 5
  /** it would else sleep for up to 8 minutes before it renews */
  sleeps: boolean
}

/** One certificate, as it is to be ordered. */
export interface Order {
  name: string
  /** the folder in which lego keeps account and certificates */
  folder: string
  directory: string
  acme: Acme
}

/** Which lego is here; undefined where there is none. By its help: Debian's calls its version "dev". */
export async function legoHere(look: Look): Promise<Lego | undefined> {
  const { packages } = platformOf(look)
  // A job's PATH is the system's own.
  const program = await look.find(['lego', packages.program(await packages.survey(look), 'lego')])
  if (!program) return undefined
  const help = await look.query([program, 'run', '--help'])
  const known = `${help.stdout}${help.stderr}`
  return { program, line: known.includes('--accept-tos') ? 5 : 4, sleeps: known.includes('--no-random-sleep') }
}

/**
 * The words that order a certificate, a first or another one. `run` does in both lines: 5 renews by it, and 4 obtains anew,
 * which authorities count as a renewal when the names are the same; only `renew` of 4 waits at random.
 */
export function legoWords({ program, line, sleeps }: Lego, order: Order): string[] {
  const { name, folder, directory, acme } = order
  const common = ['--accept-tos', '--path', folder, '--server', directory, '--domains', name]
  const email = acme.email === undefined ? [] : ['--email', acme.email]
  const type = ['--key-type', line === 5 ? 'EC256' : 'ec256']
  const options = [...common, ...email, ...type, ...challenge(line, acme)]
  if (line === 4) return [program, ...options, 'run']
  return [program, 'run', ...options, '--renew-force', ...(sleeps ? ['--no-random-sleep'] : [])]
}

function challenge(line: Lego['line'], { dns, resolvers, check_dns: checks, port }: Acme): string[] {
  if (dns === undefined) return ['--http', line === 5 ? '--http.address' : '--http.port', `127.0.0.1:${port}`]
  const unchecked = line === 5 ? ['--dns.propagation.wait', '1s'] : ['--dns.disable-cp']
  return ['--dns', dns, ...resolvers.flatMap((one) => ['--dns.resolvers', one]), ...(checks ? [] : unchecked)]
}

/** 5 wants a folder of 4 to be brought over first (go-acme.github.io/lego/migration/cli). */
export const migrateWords = ({ program }: Lego, folder: string): string[] => [program, 'migrate', '--path', folder]

/** Whether 4 has kept its account here. */
export async function ofLine4(look: Look, folder: string): Promise<boolean> {
  for (const server of await look.list(`${folder}/accounts`))
    for (const account of await look.list(`${folder}/accounts/${server}`))
      if ((await look.list(`${folder}/accounts/${server}/${account}/keys`)).length > 0) return true
  return false
}

/** Where lego leaves the chain and the key. */
export const legoFiles = (folder: string, name: string): { chain: string; key: string } => {
  const base = `${folder}/certificates/${name.replace('*', '_')}`
  return { chain: `${base}.crt`, key: `${base}.key` }
}
