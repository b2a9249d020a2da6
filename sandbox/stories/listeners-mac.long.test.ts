import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Box, differences } from '../box/box.ts'
import { net } from '../box/init.ts'
import { authority, pem } from '../lab/certificates.ts'
import { at, cannot, everything, installed, quickBox, run, titled, told } from './witness.ts'

const name = 'ai.example.net'
const settings = `models: [tiny-loop]\ntls: { ${name}: { chain: ~/tls/chain.pem, key: ~/tls/key.pem } }\n`
const port = 12443

describe.skipIf(cannot)(titled('a Mac with listeners beyond the tailnet'), () => {
  let box: Box
  let key: string
  beforeAll(async () => {
    box = await quickBox()
    box.write(at(box).settings, 'models: [tiny-loop]\n', 0o600)
    await installed(box)
    const made = authority('a test').server(name)
    box.write(`${box.home}/tls/chain.pem`, made.cert, 0o600)
    box.write(`${box.home}/tls/key.pem`, made.key, 0o600)
    box.write(`${at(box).certs}/${name}.pem`, pem(made), 0o600)
    const outcome = await run(box, 'keys.ts', 'add', 'bob', '--json')
    key = (JSON.parse(outcome.stdout) as { key: string }).key
  })
  afterAll(() => box?.close())

  const change = (listeners: string) => box.write(at(box).settings, `${settings}listeners: { ${listeners} }\n`, 0o600)
  const applied = async () => {
    const outcome = await run(box, 'apply.ts')
    expect(outcome.code, told(outcome)).toBe(0)
  }

  /** What the neighbour on the LAN gets by https: the answer's bytes, or how it ended. */
  async function asks(headers: string[]): Promise<string> {
    const socket = await box.dial('neighbour', net.mac.lan, port).catch((error: Error) => error)
    // It may be reset before the box has handed it over.
    if (socket instanceof Error) return socket.message
    return new Promise((resolve) => {
      const secure = connect({ socket, servername: name, rejectUnauthorized: false })
      let come = ''
      secure.setEncoding('utf8').on('data', (text: string) => {
        come += text
      })
      secure.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      secure.on('end', () => resolve(come || 'closed'))
      secure.write(
        ['GET /v1/models HTTP/1.1', `Host: ${name}:${port}`, 'Connection: close', ...headers, '', ''].join('\r\n'),
      )
    })
  }

  it.each([
    [
      'an address that is not on it',
      'lan: { addresses: [192.168.78.9], sources: [192.168.78.0/24] }',
      /192\.168\.78\.9 \(listeners\.lan\) is not on this machine/,
    ],
    [
      'the tailnet’s own address',
      `public: { addresses: [${net.mac.tailnet}], port: 12000 }`,
      /100\.64\.0\.1 \(listeners\.public\) is the tailnet’s/,
    ],
    [
      'a port for root alone',
      `lan: { addresses: [${net.mac.lan}], sources: [192.168.78.0/24], port: 443 }`,
      /listeners\.lan\.port: 443 needs root/,
    ],
  ])('is told of %s before anything is changed', async (_what, listeners, sentence) => {
    change(listeners)
    const before = everything(box)
    const outcome = await run(box, 'apply.ts')
    expect(outcome.code, told(outcome)).toBe(3)
    expect(`${outcome.stdout}${outcome.stderr}`).toMatch(sentence)
    expect(differences(before, everything(box))).toEqual([])
  })

  it('lets a neighbour in by https with a key, proves it, and says so', async () => {
    change(`lan: { addresses: [${net.mac.lan}], sources: [192.168.78.0/24], port: ${port} }`)
    await applied()
    expect(await asks([`Authorization: Bearer ${key}`])).toMatch(/^HTTP\/1\.1 200 /)
    expect(await asks([])).toMatch(/^HTTP\/1\.1 401 /)
    const status = await run(box, 'status.ts')
    expect(status.stdout).toMatch(new RegExp(`Also +https://${name}:${port} \\(192\\.168\\.78\\.0/24 with a key\\)`))
    const proof = await run(
      box,
      'test.ts',
      '--only',
      'listeners',
      '--only',
      'haproxy',
      '--only',
      'isolation',
      '--verbose',
    )
    expect(proof.code, told(proof)).toBe(0)
    for (const id of [
      'lan: nobody gets in without a key',
      'lan: plain http gets no answer',
      `Nothing answers on ${net.mac.lan} \\(\\S+\\) but port ${port} \\(lan\\)`,
    ])
      expect(proof.stdout).toMatch(new RegExp(id))
  })

  it('refuses a neighbour whose network is not named before a byte of the handshake', async () => {
    change(`lan: { addresses: [${net.mac.lan}], sources: [10.9.8.0/24], port: ${port} }`)
    await applied()
    expect(await asks([`Authorization: Bearer ${key}`])).toMatch(/ECONNRESET|ECONNREFUSED|closed|EPIPE/)
  })

  it('says of plain http inside who comes by it, in plan and status', async () => {
    change(`inside: { addresses: [${net.mac.lan}], from: [${net.neighbour.lan}], access: from, port: 12000 }`)
    await applied()
    const answer = await box.http('neighbour', {
      path: '/v1/models',
      host: net.mac.lan,
      port: 12000,
      headers: { host: `${net.mac.lan}:12000` },
    })
    expect(answer.status).toBe(200)
    const status = await run(box, 'status.ts', '--verbose')
    expect(status.stdout).toContain('192.168.78.2 get in without a key by plain http (listeners.inside)')
  })

  it('closes them when they are taken out', async () => {
    box.write(at(box).settings, settings, 0o600)
    await applied()
    await expect(box.dial('neighbour', net.mac.lan, 12000)).rejects.toThrow('ECONNREFUSED')
    expect((await run(box, 'status.ts')).stdout).not.toContain('Also')
  })
})
