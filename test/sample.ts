import { labels } from '../lib/platform/mac/places.ts'
import { noKeys } from '../lib/site/limits.ts'
import type { Machine } from '../lib/site/machine.ts'
import { emptyReceipt } from '../lib/site/receipt.ts'
import { parseSettings } from '../lib/site/settings.ts'
import { noAnswers, type Setup } from '../lib/site/setup.ts'

/** A Mac of 64 GB on a tailnet. */
export const machine: Machine = {
  home: '/Users/ada',
  system: 'mac',
  kernel: 'Darwin',
  version: [26, 5],
  appleSilicon: true,
  translated: false,
  memory: 64 * 1024 ** 3,
  uid: 501,
  user: 'ada',
  desktop: true,
  ssh: false,
  packager: { prefix: '/opt/homebrew' },
  tailscale: { variants: ['standalone'], state: 'Running', ipv4: '100.64.0.1', health: [], serves: [] },
  addresses: [{ family: 4, address: '192.168.1.5', device: 'en0' }],
}

/** The default settings for it. */
export const setup: Setup = {
  settings: parseSettings('', 'settings.yaml'),
  defaults: '',
  settingsText: '',
  mode: 'proxy',
  receipt: emptyReceipt(),
  registry: noKeys,
  answers: noAnswers,
  templates: { config: '', frontend: '' },
  kinds: {},
  jobs: {},
  checkout: '',
  version: '0',
  attended: false,
  programs: { ollama: 'ollama', haproxy: 'haproxy', node: 'node' },
}

/** Jobs' files with no more than a name. */
export const jobs = Object.fromEntries(
  Object.values(labels).map((label) => [
    label,
    `<plist><dict><key>Label</key><string>${label}</string><key>ProgramArguments</key><array/></dict></plist>`,
  ]),
)
