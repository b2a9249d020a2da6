import { describe, expect, it } from 'vitest'
import { leads } from './forwarders.ts'

const engine = { host: '127.0.0.1', port: 11434 }
const local = { host: 'localhost', port: 11434 }

describe('the words of a program that lets others in', () => {
  it.each([
    ['socat TCP-LISTEN:8080,fork,reuseaddr TCP:127.0.0.1:11434', engine],
    ['socat TCP4-LISTEN:8080 TCP4-CONNECT:127.0.0.1:11434,retry=3', engine],
    [
      'socat TCP-LISTEN:8080,fork UNIX-CONNECT:/Users/ada/.haproxy/run/admin.sock',
      { socket: '/Users/ada/.haproxy/run/admin.sock' },
    ],
    ['ngrok http 11434', engine],
    ['cloudflared tunnel --url http://localhost:11434', local],
    ['lt --port 11434', engine],
    ['lt --port=11434', engine],
    ['caddy reverse-proxy --from :8080 --to localhost:11434', local],
    ['ssh -N -R 8080:localhost:11434 vps', local],
    ['ssh -fNR8080:localhost:11434 vps', local],
    ['ssh -p 2222 -R 0.0.0.0:8080:[::1]:11434 vps', { host: '::1', port: 11434 }],
    ['ssh -R 8080 vps', 'any'],
    ['ssh -R localhost:8080 vps', 'any'],
    ['ssh -o RemoteForward=8080:localhost:11434 vps', local],
    ['ssh -gL 8080:127.0.0.1:11434 ada@localhost', engine],
  ])('%s', (args, wanted) => expect(leads(args.split(' ')[0] ?? '', args)).toContainEqual(wanted))

  it.each([
    // What it names is port 11434 of the other machine.
    'ssh -gL 8080:127.0.0.1:11434 vps',
    'ssh -L 11434:localhost:11434 vps',
    'ssh -D 1080 vps',
    'ssh vps echo localhost:11434',
    'caddy reverse-proxy --from :11434 --to localhost:3000',
    'curl http://localhost:11434/api/tags',
    'node server.js 11434',
  ])('%s leads to nothing of ours', (args) => {
    const ours = leads(args.split(' ')[0] ?? '', args).filter(
      (to) => to === 'any' || ('port' in to && to.port === 11434),
    )
    expect(ours).toEqual([])
  })
})
