import { bitOf } from '../../../people/records.ts'
import { connectedAt } from '../../../site/nodes.ts'
import type { Service } from '../../../site/services.ts'
import { bindsOf, indent } from '../../binds.ts'
import { hasNodes, lookedUp, looksUp, nodesIn, resolvers } from '../../nodes.ts'
import type { Gateway, Policy, Slot } from '../../policy.ts'
import { serviceProofs } from '../../proofs/services.ts'
import { refuse, sign } from '../../refusal.ts'
import { backendOf, type Door, doorConnections, doorsOf, rowPattern, rowsOf, shared } from '../../services.ts'
import { connections, guard } from '../connections.ts'
import { errors } from '../errors.ts'
import { log } from '../log.ts'
import { certificateList, tls, tlsWords } from '../tls.ts'
import { apiRules } from './api.ts'
import { pageRules } from './page.ts'

/** The lines of policies in a slot, as they stand in every frontend. */
const linesOf = (list: Policy[], slot: Slot): string[] =>
  list.flatMap(({ name, lines }) => (lines[slot] ?? []).map((rule) => sign(rule, name)))

/** Which service is meant, by the listener and the Host; a name of a service elsewhere is none here. */
const meant = (door: string): string[] => [
  `http-request set-var-fmt(txn.door) "${door}|%[so_name]|%[req.fhdr(host),lower]"`,
  'http-request set-var(txn.service) var(txn.door),map_str({{files}}/services.map)',
]

const handedOn = 'use_backend %[var(txn.service)] if { var(txn.service) -m found }'

const keysOf = (door: string, listener: string, port: number, service: Service): string[] =>
  ['', `:${port}`].map((end) => `${door}|${listener}|${service.name}${end} ${backendOf(service)}`)

/** `PORT|listener|Host` -> the service; `own` stands for the port of the listener itself. */
const map = (gateway: Gateway, doors: Door[]): string =>
  [
    ...shared(gateway).flatMap(([{ name, port }, service]) => keysOf('own', name, port, service)),
    ...doors.flatMap(({ name, port, services }) =>
      services.flatMap((service) => keysOf(`${port}`, name, port, service)),
    ),
  ].join('\n')

/** A port of services alone: who may connect is as on the listeners themselves. */
function frontend(gateway: Gateway, port: number, doors: Door[]): string {
  const [tailnet, ...others] = gateway.listeners
  const here = (name: string) => doors.filter((door) => door.name === name)
  const own = { ...gateway, listeners: [...(tailnet ? [tailnet] : []), ...others.filter(({ name }) => here(name)[0])] }
  const list = [log(gateway), connections(own), errors(gateway), tls(gateway)]
  const elsewhere = refuse({
    status: 421,
    message: 'no service has this name here.',
    when: ['!{ var(txn.service) -m found }'],
  })
  return [
    `frontend services-${port}`,
    indent([
      ...doors.flatMap((door) =>
        bindsOf(gateway, door, ` name ${door.name}${tlsWords(door, certificateList(gateway, door))}`),
      ),
      `maxconn ${doorConnections}`,
      ...guard(own),
      ...linesOf(list, 'connection'),
      ...linesOf(list, 'prepare'),
      ...meant(`${port}`),
      sign(elsewhere, 'services'),
      handedOn,
      ...linesOf(list, 'afterResponse'),
    ]),
  ].join('\n')
}

/** The service itself: found by name while HAProxy runs, and asked how it is. */
function server({ id, kind, backend, name }: Service): string[] {
  const host = kind.is === 'page' ? name : backend
  const address = backend.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return [
    'option httpchk',
    `http-check send meth GET uri ${kind.health.path} ver HTTP/1.1 hdr Host ${host} hdr Connection close`,
    `http-check expect status ${kind.health.status}`,
    `server ${id} ${backend.replace(address, connectedAt(address))} check inter 2s fastinter 500ms downinter 500ms fall 2 rise 1${lookedUp({ address })}`,
  ]
}

const section = (gateway: Gateway, service: Service): string => {
  const { kind } = service
  const rules = kind.is === 'page' ? pageRules(gateway, service, kind) : apiRules(gateway, service, kind)
  return [`backend ${backendOf(service)}`, indent([...rules, ...server(service)])].join('\n')
}

const rowFiles = (services: Service[]): Record<string, string> =>
  Object.fromEntries(
    services.flatMap(({ id, kind }) =>
      kind.is === 'api'
        ? [
            [
              `service-${id}.map`,
              rowsOf(kind)
                .map(({ row, group, backend }) => `${rowPattern(row)} ${group}|${backend}|${bitOf(group)}\n`)
                .join(''),
            ],
          ]
        : [],
    ),
  )

const findsNames = (gateway: Gateway, services: Service[]): boolean =>
  looksUp(services.map(({ backend }) => ({ address: backend.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') }))) &&
  !(hasNodes(gateway) && looksUp(nodesIn(gateway)))

/** Programs of other kinds behind the gateway: each a backend with its own rules, to which the name leads. */
export function services(gateway: Gateway): Policy {
  const { services: all = [] } = gateway
  if (all.length === 0) return { name: 'services', lines: {} }
  const doors = doorsOf(gateway)
  const ports = [...new Set(doors.map(({ port }) => port))]
  const beside = shared(gateway).length > 0
  return {
    name: 'services',
    lines: {
      // Of one in a backend TLS clients would get the smaller one of the two.
      defaults: all.some(({ kind }) => kind.is === 'page') ? ['timeout tunnel 1h'] : [],
      shape: beside ? [...meant('own'), 'http-request allow if { var(txn.service) -m found }'] : [],
      rewrite: beside ? [handedOn] : [],
    },
    sections: [
      ...ports.map((port) =>
        frontend(
          gateway,
          port,
          doors.filter((door) => door.port === port),
        ),
      ),
      ...all.map((service) => section(gateway, service)),
      ...(findsNames(gateway, all) ? [resolvers] : []),
    ],
    files: { 'services.map': `${map(gateway, doors)}\n`, ...rowFiles(all) },
    proof: (target) => serviceProofs(target, gateway),
  }
}
