import type { Look, RawAnswer } from '../../host/host.ts'
import { expandGroups } from '../../site/endpoints.ts'
import { ownNames } from '../../site/services.ts'
import { type Check, missed, ok, skipped, unexplained } from '../../steps/step.ts'
import { certificateUse, openName } from '../listeners.ts'
import type { Gateway, Listener } from '../policy.ts'
import { bearer, type Target } from './target.ts'

/** A request to a listener's first address; by https for this name, where one is given. */
interface Asked {
  listener: Listener
  name: string | undefined
  host?: string
  headers?: Record<string, string>
}

/** A path that every listener judges, and none answers without a group. */
const path = '/v1/models'

const ask = (look: Look, { listener, name, host, headers }: Asked): Promise<RawAnswer> => {
  const [address = ''] = listener.addresses
  const own = name ?? (address.includes(':') ? `[${address}]` : address)
  return look.probe({
    ...{ address, port: listener.port, method: 'GET', target: path, tlsName: name },
    headers: { host: host ?? `${own}:${listener.port}`, ...headers },
  })
}

const seen = ({ status, error, body }: RawAnswer): string => `${status || error} ${body.slice(0, 100)}`.trim()

/** What is asked for where nobody has a key to show. */
const asks = ({ access }: Listener): boolean => access === 'keys' || access === 'either'

/** What needs no key by the settings needs none where a listener is no stranger's. */
const spared = ({ name }: Listener, { settings }: Gateway): boolean =>
  !['lan', 'public'].includes(name) && expandGroups(settings.keyless).includes('openai')

/** What test.ts asks each listener beyond the tailnet's plain one; from this machine, so that its sources are proven in the box alone. */
export function listenerProofs(target: Target, listener: Listener, gateway: Gateway): Check[] {
  const exact = listener.tls ? ownNames(gateway.settings) : []
  const name = listener.tls ? openName(gateway.settings, listener) : undefined
  const closed = exact.find((one) => certificateUse(listener, one) === 'required')
  const check = (id: string, title: string, look: Check['check']): Check => ({
    id: `listeners.${listener.name}-${id}`,
    title: `${listener.name}: ${title}`,
    needs: ['haproxy.service'],
    check: async (at) =>
      listener.tls && exact.length === 0
        ? skipped('only wildcards have a certificate here, and no name to ask for')
        : look(at),
  })
  const relayed = listener.relays
    ? [check('relay', 'who is not named under proxy_protocol is not believed', (look) => believed(look, listener))]
    : []
  const certified = closed
    ? [
        check('certificate', 'without a client certificate nobody shakes hands', (look) =>
          refused(look, { listener, name: closed }),
        ),
      ]
    : []
  if (closed && !name) return [...relayed, ...certified]
  return [
    ...relayed,
    ...certified,
    ...(asks(listener) && !spared(listener, gateway)
      ? [check('key', 'nobody gets in without a key', (look) => keyless(look, { listener, name }))]
      : []),
    check('answers', 'who may gets an answer', (look) => answered(look, { listener, name, headers: bearer(target) })),
    ...(listener.name === 'public' && target.keys
      ? [
          check('ended', 'a key that has ended gets the answer of one that never was', (look) =>
            alike(look, target, { listener, name }),
          ),
        ]
      : []),
    check('host', 'another Host than its own is refused', (look) =>
      foreign(look, { listener, name, host: listener.tls ? target.host : 'rebinding.example' }),
    ),
    ...(listener.tls
      ? [
          check('name', 'a handshake for a foreign name is refused', (look) =>
            refused(look, { listener, name: 'rebinding.example' }),
          ),
          check('clear', 'plain http gets no answer', (look) => refused(look, { listener, name: undefined })),
        ]
      : []),
  ]
}

async function keyless(look: Look, asked: Asked) {
  const answer = await ask(look, asked)
  const good = [401, 403].includes(answer.status) && answer.body.includes('Gateway: ')
  return good ? ok(`${answer.status}`) : missed(seen(answer), unexplained)
}

/** One that was taken back is one that never was: no list has it any more. */
async function alike(look: Look, target: Target, asked: Asked) {
  const headers = [bearer(target, 'expired'), { authorization: 'Bearer rop_unknown' }, {}]
  const answers = await Promise.all(headers.map((one) => ask(look, { ...asked, headers: one })))
  const said = answers.map(({ status, body }) => `${status} ${body.replaceAll(/"request_id": ?"[^"]*"/g, '')}`)
  return new Set(said).size === 1 && answers[0]?.status === 401 ? ok('401') : missed(said.join('; '), unexplained)
}

/** Whatever comes of the path: somebody who may not is told otherwise. */
async function answered(look: Look, asked: Asked) {
  const answer = await ask(look, asked)
  return answer.status === 200 || (answer.status === 403 && /not enabled|may not use/.test(answer.body))
    ? ok(`${answer.status}`)
    : missed(seen(answer), unexplained)
}

async function foreign(look: Look, asked: Asked) {
  const answer = await ask(look, asked)
  return answer.status === 421 ? ok('421') : missed(seen(answer), unexplained)
}

/** A header of the PROXY protocol is no request by itself, and no handshake; where it was believed, more would be waited for. */
async function believed(look: Look, { addresses: [address = ''], port }: Listener) {
  const bytes = Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')
  const { come, end } = await look.raw({ address, port, bytes, enough: () => false })
  const status = /^HTTP\/1\.\d (\d+)/.exec(come.toString('latin1'))?.[1]
  if (end === 'open' || end === 'refused') return missed(`the connection is ${end}`, unexplained)
  return status === undefined || status === '400' ? ok(status ?? end) : missed(status, unexplained)
}

async function refused(look: Look, asked: Asked) {
  const answer = await ask(look, asked)
  return answer.status === 0 ? ok(answer.error ?? answer.end) : missed(seen(answer), unexplained)
}
