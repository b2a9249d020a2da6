/** Why lego brought none: what was seen, what helps, and ms until it is tried again. */
export interface Refusal {
  seen: string
  todo: string
  again: number
}

const minute = 60_000
const hour = 60 * minute

/** What lego and the authorities say (RFC 8555 §6.7; go-acme/lego), the gravest first. */
const known: [said: RegExp, seen: string, todo: string, again: number][] = [
  [
    /rateLimited|too many (certificates|failed|new orders)/i,
    'the authority takes no more orders for now',
    'wait',
    6 * hour,
  ],
  [
    /badNonce/i,
    'the authority took none of the numbers that every request carries (badNonce)',
    'nothing is to be done if it passes',
    5 * minute,
  ],
  [
    /certificate has expired or is not yet valid/i,
    'the authority’s own certificate is not valid at this machine’s time',
    'set the clock right',
    hour,
  ],
  [
    /signed by unknown authority|certificate is not trusted|unable to get local issuer/i,
    'the directory shows a certificate that this machine does not know',
    'name its root by acme.ca in settings.yaml',
    hour,
  ],
  [
    /unrecognized DNS provider/i,
    'this lego has no such DNS provider',
    '`lego dnshelp` lists those that it has; set acme.dns in settings.yaml',
    hour,
  ],
  [
    /credentials information are missing: ([^\n"]*)/i,
    'the credentials lack $1',
    'write it into the file that acme.credentials names',
    hour,
  ],
  [
    /address already in use/i,
    'another program holds the port on which it answers the authority',
    'set acme.port in settings.yaml, or stop that program',
    hour,
  ],
  [
    /time limit exceeded|did not return the expected TXT record|propagation/i,
    'the record did not show up in DNS in time',
    'look whether your provider has it; where this machine sees another DNS than the world, set acme.resolvers, or acme.check_dns: false',
    hour,
  ],
  [
    /could not find zone|could not determine the zone|could not find the start of authority/i,
    'nobody in DNS answers for its zone',
    'look whether the name is spelled right, or set acme.resolvers',
    hour,
  ],
  [
    /error presenting token/i,
    'the DNS provider did not take the record',
    'look whether the credentials may change that zone',
    hour,
  ],
  [
    /error:(unauthorized|dns|connection|incorrectResponse|tls)/i,
    'the authority did not find the proof of the name',
    'with acme.dns the provider must be the one that the world asks; without it http://NAME must reach port 80 of listeners.public',
    hour,
  ],
  [
    /error:(invalidContact|unsupportedContact|accountDoesNotExist|malformed.*contact)/i,
    'the authority does not take the account',
    'look at acme.email in settings.yaml',
    hour,
  ],
  [
    /error:(rejectedIdentifier|caa|unsupportedIdentifier)/i,
    'the authority gives none for this name',
    'only names of a public zone that lets it (CAA) can have one; a name of your own network takes own-ca',
    24 * hour,
  ],
  [
    /no such host|connection refused|network is unreachable|i\/o timeout|get directory|deadline exceeded|Client\.Timeout/i,
    'the authority cannot be reached',
    'look whether this machine is online, and at acme.directory',
    hour,
  ],
]

/** Reads it from lego's output. A time that an authority names counts. */
export function refusalIn(said: string, now = Date.now()): Refusal {
  const found = known.find(([words]) => words.test(said))
  if (!found) {
    const last = said
      .trim()
      .split('\n')
      .filter((line) => /error|fail|could not|:/i.test(line))
      .at(-1)
    return { seen: `lego says "${(last ?? said.trim() ?? 'nothing').slice(-200)}"`, todo: 'mend that', again: hour }
  }
  const [words, seen, todo, again] = found
  const detail = words.exec(said)?.[1]?.trim() ?? ''
  const until = /retry after (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)/i.exec(said)?.[1]
  const named = until ? Date.parse(`${until.replace(' ', 'T')}Z`) - now : 0
  return { seen: seen.replace('$1', detail), todo, again: Math.max(again, named) }
}
