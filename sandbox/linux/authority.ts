import type { Booted } from './booted.ts'

const folder = '/root/authority'
const ports = { directory: 14000, management: 15000, dns: 8053, records: 8055 }

const pebble = (lasts: number): string =>
  JSON.stringify({
    pebble: {
      ...{ listenAddress: `127.0.0.1:${ports.directory}`, managementListenAddress: `127.0.0.1:${ports.management}` },
      ...{ certificate: `${folder}/own.pem`, privateKey: `${folder}/own.key`, httpPort: 80, tlsPort: 443 },
      certificateValidityPeriod: lasts,
    },
  })

const script = (lasts: number): string => `
set -e
mkdir -p ${folder}
cd ${folder}
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout own.key -out own.pem 2> /dev/null
echo '${pebble(lasts)}' > pebble.json
cat > dns <<'END'
#!/bin/sh
case $1 in present) verb=set-txt ;; *) verb=clear-txt ;; esac
exec curl -fsS -o /dev/null -d "{\\"host\\":\\"$2\\",\\"value\\":\\"$3\\"}" http://127.0.0.1:${ports.records}/$verb
END
chmod 755 dns
umask 077
printf 'EXEC_PATH=%s\\nEXEC_POLLING_INTERVAL=1\\nEXEC_PROPAGATION_TIMEOUT=10\\n' ${folder}/dns > acme.env
systemd-run -q --unit=names pebble-challtestsrv -defaultIPv6 '' -dns01 127.0.0.1:${ports.dns} -management 127.0.0.1:${ports.records} -http01 '' -https01 '' -tlsalpn01 ''
systemd-run -q --unit=authority -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 pebble -config ${folder}/pebble.json -dnsserver 127.0.0.1:${ports.dns}
curl -sf --retry 100 --retry-delay 1 --retry-all-errors -o /dev/null --cacert own.pem https://localhost:${ports.directory}/dir
curl -sf --cacert own.pem https://localhost:${ports.management}/roots/0 > root.pem
`

/** Pebble in a booted Debian that has it: a real ACME authority that looks into a DNS of its own. */
export interface BootedAuthority {
  /** `acme` of settings.yaml, by which names are ordered from it */
  setting: object
  /** file with the root of what it signs */
  root: string
}

/** Starts it; its certificates last so many seconds. Throws with what went wrong. */
export async function startAuthority(machine: Booted, lasts: number): Promise<BootedAuthority> {
  const { code, stderr } = await machine.run(['sh', '-c', script(lasts)])
  if (code !== 0) throw new Error(`Pebble could not be started: ${stderr.trim()}`)
  return {
    root: `${folder}/root.pem`,
    setting: {
      ...{ email: 'ann@lab.test', dns: 'exec', credentials: `${folder}/acme.env` },
      ...{ directory: `https://localhost:${ports.directory}/dir`, ca: `${folder}/own.pem` },
      ...{ resolvers: [`127.0.0.1:${ports.dns}`], check_dns: false },
    },
  }
}
