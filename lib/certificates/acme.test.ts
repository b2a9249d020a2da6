import { describe, expect, it } from 'vitest'
import { issued } from '../../test/certificates.ts'
import { memoryHost } from '../../test/memory-host.ts'
import { places } from '../platform/here.ts'
import { parseSettings } from '../site/settings.ts'
import { dryHost } from '../steps/dry-run.ts'
import { fromAcme, variablesIn } from './acme.ts'
import { refusalIn } from './acme-faults.ts'
import { legoFiles, legoHere, legoWords } from './lego.ts'

const settings = (acme: object) => parseSettings(JSON.stringify({ acme }), 'settings.yaml')
const order = (acme: object, name = 'ai.example.net') => {
  const { acme: read } = settings(acme)
  return { name, folder: '/kept', directory: read.directory, acme: read }
}
const lego4 = { program: 'lego', line: 4, sleeps: false } as const
/** Held to its documents (go-acme.github.io/lego/migration/cli): none can be had here. */
const lego5 = { program: 'lego', line: 5, sleeps: true } as const
const directory = 'https://acme-v02.api.letsencrypt.org/directory'

describe('both command lines of lego', () => {
  it('are known by their help', async () => {
    const host = (help: string) =>
      memoryHost({ files: new Map([['lego', '']]), commands: { 'lego run --help': { stdout: help } } })
    expect(await legoHere(host('OPTIONS:\n   --no-bundle  Do not…\n   --run-hook value'))).toEqual(lego4)
    expect(await legoHere(host('OPTIONS:\n   --accept-tos, -a\n   --renew-force\n   --no-random-sleep'))).toEqual(lego5)
    expect(await legoHere(memoryHost())).toBeUndefined()
  })

  it('order by DNS, with the resolvers of the settings', () => {
    const wanted = order({ email: 'ann@example.net', dns: 'route53', resolvers: ['9.9.9.9:53'] })
    const words =
      '--accept-tos --path /kept --server DIRECTORY --domains ai.example.net --email ann@example.net'.replace(
        'DIRECTORY',
        directory,
      )
    expect(legoWords(lego4, wanted).join(' ')).toBe(
      `lego ${words} --key-type ec256 --dns route53 --dns.resolvers 9.9.9.9:53 run`,
    )
    expect(legoWords(lego5, wanted).join(' ')).toBe(
      `lego run ${words} --key-type EC256 --dns route53 --dns.resolvers 9.9.9.9:53 --renew-force --no-random-sleep`,
    )
  })

  it('order by HTTP through the gateway, and leave DNS unchecked where that is wanted', () => {
    const [by, unchecked] = [
      order({ email: 'a@b.net', port: 12_437 }),
      order({ email: 'a@b.net', dns: 'exec', check_dns: false }),
    ]
    expect(legoWords(lego4, by).join(' ')).toContain(' --http --http.port 127.0.0.1:12437 run')
    expect(legoWords(lego5, by).join(' ')).toContain(' --http --http.address 127.0.0.1:12437 --renew-force')
    expect(legoWords(lego4, unchecked).join(' ')).toContain(' --dns exec --dns.disable-cp run')
    expect(legoWords(lego5, unchecked).join(' ')).toContain(' --dns exec --dns.propagation.wait 1s --renew-force')
  })
})

describe('why an authority gave none is said in our words', () => {
  it.each([
    [
      'acme: error: 429 :: POST :: https://x/new-order :: urn:ietf:params:acme:error:rateLimited :: too many certificates',
      /takes no more orders/,
      6,
    ],
    ['urn:ietf:params:acme:error:badNonce :: JWS has an invalid anti-replay nonce', /badNonce/, 5 / 60],
    [
      'x509: certificate has expired or is not yet valid: current time 2031-01-01T00:00:00Z is after',
      /not valid at this machine’s time; set the clock right/,
      1,
    ],
    ['x509: certificate signed by unknown authority', /does not know; name its root by acme\.ca/, 1],
    ['unrecognized DNS provider: rout53', /no such DNS provider; `lego dnshelp`/, 1],
    [
      'route53: some credentials information are missing: AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY',
      /the credentials lack AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY; write it into the file/,
      1,
    ],
    [
      'time limit exceeded: last error: NS ns1.x. did not return the expected TXT record',
      /did not show up in DNS in time/,
      1,
    ],
    [
      'could not start HTTP server for challenge: listen tcp 127.0.0.1:11437: bind: address already in use',
      /holds the port.*acme\.port/,
      1,
    ],
    [
      'acme: error: 403 :: urn:ietf:params:acme:error:unauthorized :: Correct value not found',
      /did not find the proof/,
      1,
    ],
    ['error presenting token: exit status 1', /provider did not take the record/, 1],
    [
      'urn:ietf:params:acme:error:rejectedIdentifier :: Domain name does not end with a valid public suffix',
      /takes own-ca/,
      24,
    ],
    ['get directory at https://x: dial tcp: lookup x: no such host', /cannot be reached/, 1],
    [
      '2026/11/29 panic: something new: nobody knows',
      /lego says "2026\/11\/29 panic: something new: nobody knows"; mend that/,
      1,
    ],
  ])('%s', (said, words, hours) => {
    const { seen, todo, again } = refusalIn(said)
    expect(`${seen}; ${todo}`).toMatch(words)
    expect(again).toBe(hours * 3_600_000)
  })

  it('and a time that it names is waited for', () => {
    const now = Date.parse('2026-11-29T12:00:00Z')
    const said = 'rateLimited :: too many failed authorizations, retry after 2026-11-30 12:00:00 UTC'
    expect(refusalIn(said, now).again).toBe(24 * 3_600_000)
  })
})

describe('credentials', () => {
  it('are read as a shell or systemd would write them', () => {
    expect(variablesIn('# mine\nexport A=1\n B_2="two words"\r\nC=\'x=y\'\nno line\n\nD=')).toEqual({
      A: '1',
      B_2: 'two words',
      C: 'x=y',
      D: '',
    })
  })

  const home = '/Users/ada'
  const file = `${home}/.config/remote-ollama-proxy/acme.env`
  function machine(answer: object, mode = 0o600) {
    const given: (Record<string, string> | undefined)[] = []
    const host = memoryHost({
      files: new Map([
        ['lego', ''],
        [file, 'TOKEN=very-secret-word'],
      ]),
      commands: { 'lego run --help': { stdout: '--no-bundle' }, sh: answer },
    })
    const { run, stat } = host
    host.run = (argv, options) => {
      given.push(options?.env)
      return run(argv, options)
    }
    host.stat = async (path) => {
      const facts = await stat(path)
      return facts && { ...facts, mode: path === file ? mode : facts.mode }
    }
    return { host, given }
  }
  const wanted = {
    name: 'ai.example.net',
    settings: settings({ email: 'a@b.net', dns: 'route53', staging: 'off' }),
    due: true,
  }

  it('reach lego by its environment alone, and no sentence repeats them', async () => {
    const { host, given } = machine({ code: 1, stderr: 'route53: the token very-secret-word is wrong' })
    const refused = fromAcme(host, wanted)
    await expect(refused).rejects.toThrow(/lego says "route53: the token … is wrong"/)
    await expect(refused).rejects.not.toThrow(/very-secret-word/)
    expect(host.ran.join()).toContain('--dns route53')
    expect(host.ran.join()).not.toContain('very-secret-word')
    expect(given).toEqual([{ TOKEN: 'very-secret-word' }])
  })

  it('that others may read, or that are not there, are not used', async () => {
    await expect(fromAcme(machine({}, 0o644).host, wanted)).rejects.toThrow(
      /others may read the credentials \(~\/\.config\/remote-ollama-proxy\/acme\.env, mode 644\); close it: chmod 600/,
    )
    const { host } = machine({})
    host.files.delete(file)
    await expect(fromAcme(host, wanted)).rejects.toThrow(/the credentials of route53 are not there; write them to/)
    expect(host.ran).toEqual([])
  })

  it.each([
    [{ dns: 'exec' }, 'ai.example.net', /wants an address for the account; set acme\.email/],
    [{ email: 'a@b.net' }, '*.example.net', /a wildcard can only be proven by DNS; name your provider by acme\.dns/],
  ])('with %j nothing is ordered for %s', async (acme, name, words) => {
    const { host } = machine({})
    await expect(fromAcme(host, { ...wanted, name, settings: settings(acme) })).rejects.toThrow(words)
    expect(host.ran).toEqual([])
  })

  it('one that has ended is ordered anew, and a plan says so instead of refusing the old one', async () => {
    const { host } = machine({ code: 0 })
    const old = issued(['ai.example.net'], { begins: -3 * 86_400_000, days: -1 })
    const folder = `${places(host).state}/acme/acme-v02.api.letsencrypt.org_directory`
    const { chain, key } = legoFiles(folder, 'ai.example.net')
    host.files.set(chain, old.chain).set(key, old.leaf.key)
    await expect(fromAcme(host, wanted)).rejects.toThrow(/lego ended without leaving a new one/)
    const said: string[] = []
    expect(
      await fromAcme(
        dryHost(host, ({ text }) => said.push(text)),
        wanted,
      ),
    ).toBeUndefined()
    expect(said.join()).toContain('--dns route53')
  })

  it('a first order is tried with the staging authority, and the real one is asked for nothing when that fails', async () => {
    const { host } = machine({ code: 1, stderr: 'could not find zone' })
    const first = { ...wanted, settings: settings({ email: 'a@b.net', dns: 'route53' }) }
    await expect(fromAcme(host, first)).rejects.toThrow(
      /came from acme-staging-v02\.api\.letsencrypt\.org: nobody in DNS/,
    )
    expect(host.ran.filter((words) => words.includes('acme-v02'))).toEqual([])
    expect(places(host).state).toContain('/Users/ada')
  })
})
