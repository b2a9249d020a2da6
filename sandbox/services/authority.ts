import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Host } from '../../lib/host/host.ts'
import { places } from '../../lib/platform/here.ts'
import type { Somewhere } from '../../lib/platform/platform.ts'
import { parseSettings, type Settings } from '../../lib/site/settings.ts'
import { certificate } from '../../test/certificates.ts'
import { packages } from '../box/packages.ts'
import { eventually, freePort, watchOver } from '../lab/gateway.ts'

export interface AuthorityOptions {
  /** s that certificates last; 90 days unless told */
  lasts?: number
  /** of a hundred requests so many are told that their nonce is wrong */
  wrongNonces?: number
  /** port that it asks for the proof by HTTP */
  httpPort?: number
  /** address of every name in its DNS; 127.0.0.1 unless told */
  address?: string
}

/** A real ACME authority (Pebble) with a DNS of its own (pebble-challtestsrv), of Debian's packages, and Debian's lego. */
export interface Authority {
  directory: string
  /** file with the root that the directory is known by */
  ca: string
  /** its DNS */
  resolver: string
  /** credentials of lego's provider `exec`, which writes into that DNS */
  credentials: string
  /** a machine on which this lego is the one that is found */
  beside(machine: Host): Host
  /** where its accounts and certificates are kept on a machine, a folder for each directory */
  kept(machine: Somewhere): string
  said(): string
  stop(): Promise<void>
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

/** Whether somebody answers by TLS there; by the root that is given. */
const answers = (url: string, ca: string): Promise<boolean> =>
  new Promise((resolve) => {
    get(url, { ca, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })

/** lego's provider `exec` calls it with `present|cleanup NAME VALUE`. */
const provider = (management: number): string => `#!${process.execPath}
const [, , verb, host, value] = process.argv
const answer = await fetch('http://127.0.0.1:${management}/' + (verb === 'present' ? 'set-txt' : 'clear-txt'), {
  method: 'POST',
  body: JSON.stringify({ host, value }),
})
process.exit(answer.ok ? 0 : 1)
`

/** Settings by which these names come from it, by DNS unless `acme` says otherwise; writes the credentials into the machine's home. */
export function ordering(
  authority: Pick<Authority, 'directory' | 'ca' | 'resolver' | 'credentials'>,
  { home }: { home: string },
  tls: Settings['tls'],
  acme: object = { dns: 'exec' },
): Settings {
  writeFileSync(join(home, 'acme.env'), authority.credentials, { mode: 0o600 })
  const { directory, ca, resolver } = authority
  const common = {
    email: 'ann@lab.test',
    directory,
    ca,
    resolvers: [resolver],
    check_dns: false,
    credentials: '~/acme.env',
  }
  return parseSettings(JSON.stringify({ tls, acme: { ...common, ...acme } }), 'settings.yaml')
}

/** Starts it. Throws when Debian's packages cannot be had. */
export async function startAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  const { bin } = await packages(['pebble', 'lego'])
  const folder = mkdtempSync(join(tmpdir(), 'authority-'))
  const at = (name: string) => join(folder, name)
  const [listen = 0, management = 0, dns = 0, records = 0] = await Promise.all(
    Array.from({ length: 4 }, () => freePort('127.0.0.1')),
  )
  const root = certificate({ names: ['directory'], ca: true })
  const own = certificate({ names: ['localhost'], by: root })
  const files = {
    'ca.pem': root.certificate,
    'own.pem': own.certificate,
    'own.key': own.key,
    'dns.mjs': provider(records),
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text, { mode: 0o600 })
  chmodSync(at('dns.mjs'), 0o700)
  const pebble = {
    listenAddress: `127.0.0.1:${listen}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: at('own.pem'),
    privateKey: at('own.key'),
    httpPort: options.httpPort ?? 5002,
    tlsPort: 5001,
    certificateValidityPeriod: options.lasts ?? 90 * 86_400,
  }
  writeFileSync(at('pebble.json'), JSON.stringify({ pebble }))
  let said = ''
  const start = (program: string, argv: string[], env = {}) => {
    const child = spawn(program, argv, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        said += text
      })
    return { child, dismiss: watchOver(child.pid ?? 0) }
  }
  const unused = ['-http01', '', '-https01', '', '-tlsalpn01', '']
  const names = start(bin('pebble-challtestsrv'), [
    '-defaultIPv4',
    options.address ?? '127.0.0.1',
    '-defaultIPv6',
    '',
    '-dns01',
    `127.0.0.1:${dns}`,
    '-management',
    `127.0.0.1:${records}`,
    ...unused,
  ])
  const authority = start(bin('pebble'), ['-config', at('pebble.json'), '-dnsserver', `127.0.0.1:${dns}`], {
    PEBBLE_VA_NOSLEEP: '1',
    PEBBLE_AUTHZREUSE: '0',
    PEBBLE_WFE_NONCEREJECT: `${options.wrongNonces ?? 0}`,
  })
  const stop = async () => {
    for (const { child, dismiss } of [authority, names]) {
      dismiss()
      await end(child)
    }
    rmSync(folder, { recursive: true, force: true })
  }
  const directory = `https://localhost:${listen}/dir`
  await eventually('Pebble answers', () => answers(directory, root.certificate)).catch(async (error: Error) => {
    await stop()
    throw new Error(`${error.message}; it said ${said}`)
  })
  return {
    directory,
    ca: at('ca.pem'),
    resolver: `127.0.0.1:${dns}`,
    credentials: `EXEC_PATH=${at('dns.mjs')}\nEXEC_POLLING_INTERVAL=1\nEXEC_PROPAGATION_TIMEOUT=10\nEXEC_SEQUENCE_INTERVAL=1\n`,
    beside: (machine) => ({
      ...machine,
      find: async (candidates) => (candidates[0] === 'lego' ? bin('lego') : machine.find(candidates)),
    }),
    kept: (at) => join(places(at).state, 'acme'),
    said: () => said,
    stop,
  }
}
