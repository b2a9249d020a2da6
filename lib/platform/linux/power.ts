import type { Look } from '../../host/host.ts'
import type { Change, Power, Restarter } from '../platform.ts'
import { labels } from './places.ts'

const targets = ['sleep.target', 'suspend.target', 'hibernate.target', 'hybrid-sleep.target']
const stayAwake = ['systemctl', 'mask', ...targets]

const says = async (look: Look, ...argv: string[]): Promise<string> => (await look.query(argv)).stdout.trim()

const portable = async (look: Look): Promise<boolean> =>
  (await look.list('/sys/class/power_supply')).some((name) => name.startsWith('BAT'))

/** A server sleeps only when somebody tells it to; a desktop does so by itself. */
const sleep: Change = {
  id: 'power.sleep',
  title: 'The machine does not fall asleep',
  question: 'Keep this machine awake?',
  asks: [],
  keeps: `a setting of your machine; \`sudo systemctl unmask ${targets.join(' ')}\` brings sleep back`,
  async ask(look) {
    if ((await says(look, 'systemctl', 'is-enabled', 'sleep.target')) === 'masked') return { is: 'good', saw: 'never' }
    return (await says(look, 'systemctl', 'get-default')) === 'graphical.target' &&
      (await says(look, 'systemctl', 'is-active', 'display-manager.service')) === 'active'
      ? { is: 'wanting', saw: 'its desktop may send it to sleep', help: `sudo ${stayAwake.join(' ')}` }
      : { is: 'good', saw: 'no desktop that would send it to sleep' }
  },
  make: async (host) => void (await host.run(stayAwake)),
}

export const power: Power = {
  portable,
  sleep,
  others: [],
  awakeWhile: (pid) => [
    'systemd-inhibit',
    '--what=sleep:shutdown',
    '--who=remote-ollama-proxy',
    '--why=a change of the server is under way',
    'tail',
    `--pid=${pid}`,
    '-f',
    '/dev/null',
  ],
}

const folder = '/etc/needrestart'

/** needrestart(1) runs a program of this folder in place of `systemctl restart` (its etc/restart.d/README.needrestart). HAProxy’s master starts itself anew at a reload, from what then is on the disk. */
export const restarter: Restarter = {
  ...{ name: 'needrestart', folder, file: `${folder}/restart.d/${labels.gateway}` },
  text: `#!/bin/sh
# Written by remote-ollama-proxy: a restart would cut the answers that run, a reload cuts none.
exec systemctl kill --kill-who=main --signal=SIGUSR2 ${labels.gateway}
`,
}
