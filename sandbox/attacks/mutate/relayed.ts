import type { Configuration } from '../../../lib/site/configuration.ts'
import { ownAddress, soon } from '../../lab/gateway.ts'
import { dial, exchange, request } from '../../lab/raw.ts'
import { must, type Patient } from './asking.ts'
import { certificates, secrets } from './listened.ts'
import type { Expectation } from './quick.ts'

const name = Object.keys(certificates)[0]?.replace(/\.pem$/, '') ?? ''
const [lan, open] = [ownAddress(), ownAddress()]
const [relay, other] = ['127.0.0.90', '127.0.0.91']
const [stranger, eager, hasty] = ['127.0.0.92', '127.0.0.93', '127.0.0.94']

export const relaying = [
  `tls: { ${name}: own-ca }`,
  'listeners:',
  `  lan: { addresses: [${lan}], sources: [10.1.2.0/24], proxy_protocol: { from: [${relay}] } }`,
  `  public: { addresses: [${open}], proxy_protocol: { from: [${other}] } }`,
].join('\n')

/** Every source here is of this machine, which is let in everywhere; so in the LAN only some addresses of it are, the other relay's among them. */
export const alone = (made: Configuration): Configuration => ({
  ...made,
  files: Object.fromEntries(
    Object.entries(made.files).map(([file, text]) => [
      file,
      file.endsWith('/sources-lan.lst') ? text.replace('127.0.0.0/8', `${other}\n${eager}`) : text,
    ]),
  ),
})

const header = (client: string): string => `PROXY TCP4 ${client} 192.0.2.1 40000 443\r\n`
/** Where a connection is made, from where, and what a header in front of it says of the client. */
type Way = readonly [address: string, from: string, client?: string]

const where = ({ gateway }: Patient, [address, from, client]: Way) => ({
  ...{ address, port: gateway.port, from, tls: { servername: name } },
  first: client === undefined ? undefined : header(client),
})

const asking = request('GET /v1/models HTTP/1.1', [`Host: ${name}`, `Authorization: Bearer ${secrets.bob}`])

async function ask(patient: Patient, ...way: Way): Promise<number> {
  return (await exchange(where(patient, way), asking, 1, 20_000)).status
}

async function believes(patient: Patient): Promise<void> {
  const own = patient.gateway.address
  const cases: [status: number, way: Way][] = [
    [200, [lan, relay, '10.1.2.3']],
    [0, [lan, relay, '10.1.3.3']],
    [200, [lan, relay, own]],
    [0, [lan, relay]],
    [200, [lan, own]],
    [200, [lan, other]],
    [0, [lan, other, '10.1.2.3']],
    [0, [lan, stranger]],
    [200, [open, other, '10.1.3.3']],
    [0, [open, other]],
    [200, [open, relay]],
    [200, [open, stranger]],
    [0, [open, stranger, '10.1.2.3']],
  ]
  for (const [status, way] of cases) {
    const got = await ask(patient, ...way)
    must(got === status, `${way.join(' ')}: ${got} instead of ${status}`)
  }
  const silent = await dial({ address: lan, port: patient.gateway.port, from: stranger })
  must((await silent.ended(1_000)) !== 'open', 'who is not known may begin a handshake')
  must(
    patient.gateway.log().some((line) => line.includes('"address":"10.1.2.3"')),
    'the log has another address',
  )
}

/** A connection for each of these clients is opened, and then each asks; gives how many are answered. */
async function held(patient: Patient, address: string, from: string, clients: string[]): Promise<number> {
  const all = await Promise.all(clients.map((client) => dial(where(patient, [address, from, client]))))
  for (const one of all) one.send(asking)
  const answered = await Promise.all(all.map((one) => one.settled(1, 5_000)))
  for (const one of all) one.hangUp()
  return answered.filter(([reply]) => reply?.status === 200).length
}

/** So many connections of one address begin no handshake; whether no more than 64 of them stay. */
async function bounded({ gateway }: Patient, address: string): Promise<boolean> {
  const all = await Promise.all(Array.from({ length: 80 }, () => dial({ address, port: gateway.port, from: eager })))
  const few = await soon(async () => all.filter((one) => one.end() === 'open').length <= 64, 5_000)
  for (const one of all) one.hangUp()
  return few
}

async function counts(patient: Patient): Promise<void> {
  const one = await held(patient, lan, relay, Array(80).fill('10.1.2.9'))
  must(one <= 64, `${one} connections of one address are held`)
  const clients = Array.from({ length: 80 }, (_, at) => `10.1.2.${10 + at}`)
  for (const [address, from] of [
    [lan, relay],
    [open, other],
  ] as const) {
    const many = await held(patient, address, from, clients)
    must(many === 80, `of 80 addresses ${many} are held`)
  }
  for (const address of [lan, open])
    must(await bounded(patient, address), 'over 64 connections of one address begin no handshake')
  const bare = () => dial({ address: open, port: patient.gateway.port, from: hasty })
  for (let tries = 0; tries < 15; tries += 1)
    for (const one of await Promise.all(Array.from({ length: 10 }, bare))) one.hangUp()
  must((await (await bare()).ended(2_000)) !== 'open', 'who connects too often may begin a handshake')
  const statuses: number[] = []
  for (let tries = 0; tries < 15; tries += 1)
    statuses.push(...(await Promise.all(Array.from({ length: 10 }, () => ask(patient, open, other, '10.1.2.8')))))
  must(
    statuses.slice(0, 60).every((status) => status === 200),
    'not even 60 connections are let in',
  )
  must(statuses.includes(0), '150 connections of one address are let in')
  must((await ask(patient, lan, relay, '10.1.2.8')) === 200, 'the LAN counts what the internet does')
  for (let tries = 0; tries < 12; tries += 1) {
    const ways: Way[] = [...Array(5).fill([lan, relay, '10.1.2.7']), ...Array(9).fill([lan, other])]
    const some = await Promise.all(ways.map((way) => ask(patient, ...way)))
    must(
      some.every((status) => status === 200),
      'a LAN has the bounds of the internet',
    )
  }
}

export const relayed: Expectation[] = [
  ['a relay is believed, and nobody else', believes],
  ['what is counted is counted by the address in the header', counts],
]
