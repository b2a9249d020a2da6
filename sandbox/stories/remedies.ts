import { expect } from 'vitest'
import { labels } from '../../lib/platform/mac/places.ts'
import type { Box } from '../box/box.ts'
import { at, run, told } from './witness.ts'

const cli = '/Applications/Tailscale.app/Contents/MacOS/Tailscale'
const launchctl = (box: Box, ...words: string[]) => box.run(['launchctl', ...words])
const target = (box: Box, label: string): string => `gui/${box.state().uid}/${label}`
const chmod = (mode: string, path: (box: Box) => string) => (box: Box) => box.run(['chmod', mode, path(box)])
const removed = (path: (box: Box) => string) => (box: Box) => box.run(['rm', '-rf', path(box)])
const stopped = (label: string) => (box: Box) => launchctl(box, 'bootout', target(box, label))
const plist = (label: string) => (box: Box) => `${at(box).agents}/${label}.plist`

/** Changes a word in a file. */
const edited =
  (path: (box: Box) => string, from: string, to: string, mode = 0o644) =>
  async (box: Box) =>
    box.write(path(box), box.read(path(box)).replace(from, to), mode)

/** What a check says is missed after this was done to a machine. */
export type Harm = (box: Box) => Promise<unknown>

/** What install.ts mends: all of it at once, since it mends whatever it finds. */
export const byInstall: Record<string, Harm> = {
  // The observer would mend some of what follows.
  'observer.service': stopped(labels.observer),
  'settings.file': chmod('644', (box) => at(box).settings),
  'runtime.state': chmod('755', (box) => at(box).state),
  'runtime.logs': chmod('755', (box) => at(box).logs),
  'runtime.copy': removed((box) => at(box).current),
  'command.link': removed((box) => `${box.prefix}/bin/rop`),
  'ollama.job': edited(plist(labels.engine), 'OLLAMA_NO_CLOUD', 'OLLAMA_CLOUD'),
  'ollama.at-login': edited(plist(labels.engine), '<key>RunAtLoad</key>', '<key>RunNever</key>'),
  'ollama.service': stopped(labels.engine),
  'haproxy.folder': chmod('755', (box) => at(box).proxy),
  'haproxy.run': chmod('755', (box) => at(box).run),
  'haproxy.config': edited((box) => at(box).config, 'timeout queue', '# mine\n    timeout queue', 0o600),
  'haproxy.job': edited(plist(labels.gateway), '<key>KeepAlive</key>', '<key>KeepNever</key>'),
  'haproxy.at-login': async () => {},
  'haproxy.service': stopped(labels.gateway),
  'haproxy.engine': async () => {},
  'haproxy.keys': chmod('644', (box) => `${at(box).keyMaps}/keys.map`),
  'observer.job': edited(plist(labels.observer), '<key>KeepAlive</key>', '<key>KeepNever</key>'),
  'models.job': removed(plist(labels.warm)),
  'models.service': stopped(labels.warm),
}

/** What the command mends that the remedy names. */
export const byCommand: Record<string, Harm> = {
  'tailscale.up': (box) => box.tailnet(false),
  'tailscale.serve': (box) =>
    box.run(['env', 'TAILSCALE_BE_CLI=1', cli, 'serve', '--bg', `--tcp=${box.port}`, '127.0.0.1:9999']),
  'ollama.environment': (box) => launchctl(box, 'setenv', 'OLLAMA_ORIGINS', 'example.net'),
  'observer.log-whole': removed((box) => at(box).access),
  'models.qwen3:0.6b': (box) =>
    box.run(['sh', '-c', 'curl -s -X DELETE http://127.0.0.1:11434/api/delete -d \'{"model":"qwen3:0.6b"}\'']),
}

/** What a story of its own holds, or nothing here can do; with the reason. */
export const elsewhere: Record<string, string> = {
  'system.macos': 'no command brings another macOS',
  'system.chip': 'no command brings another processor',
  'system.native': 'story bad-input: ./bootstrap.sh passes over the translated Node',
  'system.user': 'no command makes root somebody else',
  'system.desktop': 'a person logs in at the screen',
  'system.home': 'refused before the first question: story bad-input',
  'system.disk': 'a person makes room',
  'system.home-name': 'refused before the first question: unit test of the part',
  'system.folders': 'refused before the first question: unit test of the part',
  'system.memory': 'advice',
  'command.path': 'advice',
  'packages.present': 'install.ts brings it: story install',
  'packages.index': 'install.ts renews it: story old-homebrew',
  'packages.ready-made': 'advice',
  'tailscale.one-variant': 'a person decides which one goes',
  'tailscale.key-expiry': 'advice',
  'tailscale.policy': 'advice',
  'tailscale.package': 'install.ts brings it: story install',
  'runtime.path': 'a person moves the home',
  'ollama.package': 'story brew-upgrade',
  'ollama.alone': 'stories foreign and other-ollama',
  'ollama.models-folder': 'a person connects the disk: unit test of the part',
  'ollama.loopback-only': 'rests on ollama.service, which runs the job as written',
  'ollama.nobody-else': 'stories foreign and other-ollama',
  'ollama.user': 'a launchd of a user starts nothing as another one',
  'ollama.cloud-off': 'story brew-upgrade: an Ollama before 0.16.2',
  'models.fit': 'advice',
  'haproxy.port': 'story bad-input: somebody else holds the port',
  'haproxy.peers-port': 'story bad-input: somebody else holds the port',
  'haproxy.lists': 'unit test lists: observer: on, or fewer models',
  'haproxy.package': 'story brew-upgrade',
  'haproxy.folders': 'refused before the first question: unit test of the part',
  'haproxy.foreign': 'story foreign',
  'haproxy.ipv6': 'story ipv6',
  'haproxy.identities': 'the observer and test.ts mend it by themselves: story rules',
  'haproxy.sockets': 'HAProxy makes them so, and install.ts starts it',
  'haproxy.valid': 'a configuration that is not ours: haproxy.config',
  'haproxy.recent': 'advice',
  'haproxy.address': 'story login: another tailnet',
  'observer.port': 'story bad-input: somebody else holds the port',
  'observer.works': 'story observer: what its log says',
}

type Shown = { id: string; state: string; saw: string; remedy?: string }

/** What test.ts says of these checks. */
export async function shown(box: Box, ids: string[]): Promise<Shown[]> {
  const outcome = await run(box, 'test.ts', '--json', ...ids.flatMap((id) => ['--only', id]))
  expect([0, 1, 5], told(outcome)).toContain(outcome.code)
  return (JSON.parse(outcome.stdout) as { results: Shown[] }).results
}

/** The command in a remedy: what stands before three blanks, in backticks or behind a colon. */
export function typed(remedy: string): string {
  const [words = ''] = remedy.split('   ')
  return /`([^`]+)`/.exec(words)?.[1] ?? /: (.+)$/.exec(words)?.[1] ?? words
}
