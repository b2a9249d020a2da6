import type { Booted } from './booted.ts'

/** A program in the place of a service: well at its health question, a page at /, a login that leads away, a WebSocket for whoever asks. */
const standIn = `import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
const [port] = process.argv.slice(2)
const server = createServer((request, answer) => {
  if (request.url === '/oauth/oidc/login') return answer.writeHead(302, { location: 'https://id.example.net/authorize' }).end()
  if (request.url === '/') return answer.writeHead(200, { 'content-type': 'text/html' }).end('<html>a page</html>')
  const { authorization, 'api-key': key } = request.headers
  answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ from: port, authorization, key }))
})
server.on('upgrade', (request, socket) => {
  const sum = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + sum + '\\r\\n\\r\\n')
})
server.listen(Number(port), '0.0.0.0')
`

const machines = { router: '10.2.1.1', ui: '10.2.1.130', gpu: '10.2.1.140', visitor: '10.2.1.50' }
const services = { ui: [8080, 4000], gpu: [6333, 8000] }

const unit = (name: string, machine: string): string =>
  `systemd-run -q --unit=${name} -p NetworkNamespacePath=/run/netns/${machine}`

const cables = Object.entries(machines).map(
  ([name, address]) => `ip netns add ${name}
ip -n ${name} link set lo up
ip link add to-${name} type veth peer name eth0 netns ${name}
ip link set to-${name} master lan0 up
ip -n ${name} address add ${address}/16 dev eth0
ip -n ${name} link set eth0 up`,
)

const script = `set -e
ip link add lan0 type bridge
ip address add 10.2.1.120/16 dev lan0
ip link set lan0 up
${cables.join('\n')}
cat > /opt/service.mjs <<'END'
${standIn}END
${Object.entries(services)
  .flatMap(([machine, ports]) =>
    ports.map((port) => `${unit(`service-${port}`, machine)} /opt/outside/node /opt/service.mjs ${port}`),
  )
  .join('\n')}
printf '#!/bin/sh\\nHOME=/root BOX=/opt/outside/box exec /opt/outside/node /opt/outside/standins/standins.mjs ollama "$@"\\n' > /opt/engine
chmod 755 /opt/engine
${unit('engine', 'gpu')} -E OLLAMA_HOST=0.0.0.0:11434 /opt/engine serve
until OLLAMA_HOST=${machines.gpu}:11434 /opt/engine pull qwen2.5-coder:14b; do sleep 0.2; done
cat > /usr/local/bin/ssh <<'END'
#!/bin/sh
disk=/disks/\${1#*@}; shift
exec unshare -m sh -c 'mount --bind "$0" /opt/stacks/ai && exec "$@"' "$disk" "$@"
END
cat > /usr/local/bin/scp <<'END'
#!/bin/sh
ssh "\${1%%:*}" cat "\${1#*:}" > "$2"
END
chmod 755 /usr/local/bin/ssh /usr/local/bin/scp
`

/** Two machines of a stack on the LAN of a booted Debian that has 10.2.1.120, each with programs in the place of its services, a router that knows names, and a visitor; their files lie in /disks/ADDRESS. Throws with what went wrong. */
export async function startStack(machine: Booted): Promise<void> {
  const { code, stderr } = await machine.run(['sh', '-c', script])
  if (code !== 0) throw new Error(`the machines of the stack could not be made: ${stderr.trim()}`)
}

/** A name server with these lines of dnsmasq's, which the booted Debian asks from then on; another call puts others in their place. */
export async function startNames(machine: Booted, lines: string[]): Promise<void> {
  const { code, stderr } = await machine.run([
    'sh',
    '-c',
    `systemctl stop names-of-the-lan 2> /dev/null
printf '%s\\n' no-resolv no-hosts ${lines.map((line) => `'${line}'`).join(' ')} > /root/names.conf
printf 'nameserver ${machines.router}\\n' > /etc/resolv.conf
${unit('names-of-the-lan', 'router')} dnsmasq -k -C /root/names.conf --user= --pid-file= --listen-address=${machines.router} --bind-interfaces`,
  ])
  if (code !== 0) throw new Error(`the name server could not be started: ${stderr.trim()}`)
}
