const unreachable = 'Nobody on another device gets an answer.'

/** What a miss means for people, by the beginning of its check's id; the longest one that fits counts. */
const table: Record<string, string> = {
  'system.': 'Nothing can be installed or repaired here until that is mended.',
  'packages.': 'Programs that are missing cannot be installed.',
  'tailscale.': unreachable,
  'tailscale.serve': 'Requests go past the gateway: no key is asked for, and nothing is refused.',
  'runtime.': 'The jobs may not start at the next restart.',
  'command.': '`rop` is not found in a terminal; everything else works.',
  'ollama.': 'No model answers anybody.',
  'ollama.job': 'From the next start on Ollama may run with other settings.',
  'ollama.at-login': 'After the next restart no model answers.',
  'ollama.environment': 'From the next start on Ollama may run with other settings.',
  'ollama.alone': 'Another Ollama takes the place of the one behind the gateway, and it is not protected.',
  'ollama.loopback-only': 'Ollama can be reached without the gateway: no key is asked for, and nothing is refused.',
  'ollama.nobody-else': 'Something answers beside the gateway: no key is asked for, and nothing is refused.',
  'ollama.user': 'Whoever breaks into Ollama has this machine.',
  'ollama.cloud-off': 'Questions may leave this machine for Ollama’s cloud.',
  'haproxy.': unreachable,
  'haproxy.config': 'What the settings say is not what the gateway does.',
  'haproxy.valid': 'The gateway would not start again.',
  'haproxy.job': 'After the next restart nobody may get an answer.',
  'haproxy.at-login': 'After the next restart nobody may get an answer.',
  'haproxy.engine': 'The gateway answers, and no model does.',
  'haproxy.keys': 'Keys that were made, changed or revoked may not count as they should.',
  'haproxy.identities': 'The gateway may not know who somebody on the tailnet is.',
  'haproxy.lists': 'Somebody with a list of models sees none.',
  'haproxy.sockets': 'Other users of this machine can command the gateway.',
  'haproxy.folder': 'Other users of this machine may read what is in there.',
  'haproxy.run': 'Other users of this machine may read what is in there.',
  'haproxy.ipv6': 'Clients that come by IPv6 get no answer.',
  'haproxy.magic-name': 'Clients that use the machine’s name get no answer; its address works.',
  'haproxy.listener-pid': 'Another HAProxy answers some of the requests, by rules of its own.',
  'haproxy.identity': 'Something else answers in the gateway’s place, without its protection.',
  'haproxy.services': 'A service may refuse what the gateway hands on to it.',
  'services.': 'A page or a program behind the gateway gets no answer, or answers whom it should not.',
  'certificates.': 'Clients that come by https may refuse the connection.',
  'certificates.renewer': 'Certificates end, and clients that come by https refuse the connection then.',
  'observer.': 'Requests are answered; nothing is counted, no day’s share ends, and nobody is alerted.',
  'observer.works': 'Requests are answered; some of what is counted or told may be missing.',
  'observer.log-whole': 'Requests are answered; reports and shares of a day are incomplete.',
  'models.': 'A model that clients may ask for is not there, or not loaded at login.',
  'models.fit': 'Answers come many times slower, or not at all.',
  'settings.': 'The settings may not count, or others may read them.',
  'files.': 'Other users of this machine may read the settings or the hashes of keys.',
  'isolation.': 'Ollama can be reached past the gateway: no key is asked for, and nothing is refused.',
  'isolation.no-carrier-network': 'Neighbours in that network pass for devices of your tailnet.',
  'power.': 'The machine may be asleep when somebody asks.',
  'firewall.': unreachable,
  'alerts.': 'Nobody is told when something fails.',
  'anomaly.': 'Answers may be slow, or stop.',
}

/** What it means for people that this check is missed; undefined where nobody has said it yet. */
export function meaning(id: string): string | undefined {
  const known = Object.keys(table).filter((beginning) => id.startsWith(beginning))
  return table[known.sort((one, other) => other.length - one.length)[0] ?? '']
}
