import type { Client, Connection } from '../../clients/client.ts'
import { exitCodes, json, Stop } from '../../host/command.ts'
import type { Look, RawAnswer } from '../../host/host.ts'

type Who = Pick<Connection, 'base' | 'key'>

/** ms in which a connection stands, or nobody is there */
const nearby = 10_000
/** ms for one word: a large model may have to be loaded from the disk first */
const patience = 600_000

/** Sends one request as a client does. */
export function send(
  look: Look,
  { base, key }: Who,
  method: string,
  target: string,
  body?: object,
  timeoutMs = nearby,
): Promise<RawAnswer> {
  const { hostname, port, host } = new URL(base)
  return look.probe({
    address: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    method,
    target,
    headers: {
      host,
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    timeoutMs,
  })
}

const words = 'Say hello.'
const messages = [{ role: 'user', content: words }]

/** One short question in the form of each API, by the group that a client asks first. */
const questions: Partial<Record<Client['groups'][number], (model: string) => [target: string, body: object]>> = {
  openai: (model) => ['/v1/chat/completions', { model, messages, max_tokens: 8 }],
  responses: (model) => ['/v1/responses', { model, input: words, max_output_tokens: 8 }],
  anthropic: (model) => ['/v1/messages', { model, messages, max_tokens: 8 }],
}

/** A server that gave no answer: why, in words, and whether another key may help. */
export class NoAnswer extends Stop {
  readonly key: boolean

  constructor(words: string, key: boolean) {
    super(exitCodes.precondition, words)
    this.key = key
  }
}

/** Asks the model one short question by the API that this client uses. Throws `NoAnswer`. */
export async function firstQuestion(look: Look, client: Client, to: Connection): Promise<void> {
  const there = await send(look, to, 'GET', '/')
  if (there.end === 'refused' || there.end === 'timeout') mustAnswer(there, to)
  const ask = client.groups.map((group) => questions[group]).find((one) => one !== undefined)
  if (!ask) return
  const [target, body] = ask(to.model)
  mustAnswer(await send(look, to, 'POST', target, body, patience), to)
}

/** A command that is typed on the server, where the one word is `rop`. */
const onServer = (command: string): string => `rop ${command}`

const away: Record<string, string> = {
  ENOTFOUND: 'its name is not known on this machine. Is Tailscale up here (tailscale status), with MagicDNS?',
  EAI_AGAIN: 'its name is not known on this machine. Is Tailscale up here (tailscale status), with MagicDNS?',
  ECONNREFUSED: `the machine is there, but nobody listens on that port. On the server: ${onServer('status')}`,
}
const unreachable =
  'it cannot be reached from here. Is Tailscale up on this machine (tailscale status), and does the tailnet let you in?'

/** Throws `NoAnswer` for everything but an answer. */
export function mustAnswer(answer: RawAnswer, to: Who): void {
  const why = whyNot(answer, to)
  if (why === undefined) return
  throw new NoAnswer(`${to.base.replace('http://', '')} does not answer: ${why}`, answer.status === 401)
}

function whyNot(answer: RawAnswer, to: Who): string | undefined {
  const said = saidIn(answer.body)
  if (answer.end === 'refused') return away[answer.error ?? ''] ?? unreachable
  if (answer.end === 'timeout') return answer.connectMs === undefined ? unreachable : slow
  if (answer.end === 'cut') return `the answer broke off. On the server: ${onServer('status')}`
  if (answer.status === 200) return said.json ? undefined : 'something else than this server is there.'
  return `${meaning(answer, to)}${said.text ? ` It says: ${said.text}` : ''}`
}

const slow = `it took the question and said nothing; the model may still be loading. Try again, or on the server: ${onServer('warm')}`

/** By status: what it comes from, and who can do what about it. */
function meaning({ status, headers }: RawAnswer, { key }: Who): string {
  const after = headers['retry-after']
  const meanings: Record<number, string> = {
    401: key
      ? `it does not know this API key; its owner makes another one (${onServer('keys add NAME')}).`
      : `it asks for an API key, which its owner makes (${onServer('keys add NAME')}); give it by --key-file FILE.`,
    403: 'it does not let you ask this: a group of endpoints that is not open, or a model that is not for you.',
    404: 'it has no such model; choose another one by --model.',
    421: 'it is not known by this name; use the name or the address that its owner told you.',
    429: `it is busy, or your share is used up${after ? `; it asks to come back in ${after} s` : ''}.`,
    502: 'its gateway is there, and its engine is not.',
    503: 'its gateway is there, and its engine is not.',
    504: 'its engine took too long; the model may still be loading.',
  }
  return meanings[status] ?? `it answers with status ${status}.`
}

/** The text of an error in the shapes of all three APIs. */
function saidIn(body: string): { json: boolean; text: string } {
  const read = json(body) as { error?: string | { message?: string } } | undefined
  const error = read?.error
  const text = typeof error === 'string' ? error : (error?.message ?? '')
  return { json: typeof read === 'object' && read !== null, text: text.replaceAll(/\s+/g, ' ').slice(0, 300) }
}
