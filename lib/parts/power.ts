import type { Look } from '../host/host.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { advice, type Check, type Finding, ok, type Step, skipped } from '../steps/step.ts'
import type { Part, Question } from './part.ts'

const firewall = '/usr/libexec/ApplicationFirewall/socketfilterfw'
const firewallCandidates = ['socketfilterfw', firewall]

/** One value of `pmset -g custom` on mains power: the last number after the key, section by section. */
export function pmsetValue(text: string, key: string): number | undefined {
  const mains = text.split(/^(?=\S.*:$)/m).find((section) => section.startsWith('AC Power')) ?? text
  const found = new RegExp(`^ ${key}\\s+(\\d+)`, 'm').exec(mains)?.[1]
  return found === undefined ? undefined : Number(found)
}

const pmset = async (look: Look, key: string) => pmsetValue((await look.query(['pmset', '-g', 'custom'])).stdout, key)

async function sleepFinding(look: Look): Promise<Finding> {
  const minutes = await pmset(look, 'sleep')
  if (minutes === undefined) return skipped('pmset says nothing about sleep')
  return minutes === 0 ? ok('never') : advice(`after ${minutes} min`, 'sudo pmset -c sleep 0 disksleep 0')
}

function sleep(setup: Setup): Check {
  const check: Check = { id: 'power.sleep', title: 'The Mac does not fall asleep on mains power', check: sleepFinding }
  if (!setup.answers.power) return check
  const step: Step = {
    ...check,
    interactive: true,
    keeps: 'a setting of your Mac; `sudo pmset -c sleep 1` brings sleep back',
    async check(look) {
      const finding = await sleepFinding(look)
      return finding.is === 'advice' ? { ...finding, is: 'missed' } : finding
    },
    apply: async (host) =>
      void (await host.run(['sudo', 'pmset', '-c', 'sleep', '0', 'disksleep', '0'], { interactive: setup.attended })),
  }
  return step
}

function advices(): Check[] {
  return [
    {
      id: 'power.restart',
      title: 'The Mac starts again after a power cut',
      async check(look) {
        const value = await pmset(look, 'autorestart')
        if (value === undefined) return skipped('this Mac has no such setting')
        return value === 1 ? ok('autorestart 1') : advice('it stays off', 'sudo pmset -a autorestart 1')
      },
    },
    {
      id: 'power.login',
      title: 'Somebody is logged in after a restart',
      async check(look) {
        const { stdout } = await look.query(['fdesetup', 'status'])
        const user = await look.query([
          'defaults',
          'read',
          '/Library/Preferences/com.apple.loginwindow',
          'autoLoginUser',
        ])
        if (/FileVault is On/.test(stdout))
          return advice(
            'FileVault is on: after a restart the Mac waits for your password, and nothing of this runs before',
            'Log in at the screen after restarts; `sudo fdesetup authrestart` restarts once without the question.',
          )
        return user.code === 0
          ? ok(`${user.stdout.trim()} is logged in automatically`)
          : advice(
              'no automatic login: services start when you log in',
              'System Settings > Users & Groups > Automatically log in as',
            )
      },
    },
    {
      id: 'power.lid',
      title: 'No lid puts the Mac to sleep',
      async check(look) {
        const { stdout } = await look.query(['pmset', '-g', 'custom'])
        return /Battery Power/.test(stdout)
          ? advice(
              'this is a laptop: a shut lid sends it to sleep unless a display is attached',
              'Keep the lid open, or attach a display.',
            )
          : ok('no battery')
      },
    },
  ]
}

/** The stable path and the one its link leads to: the firewall may list either. */
const bothNames = async (look: Look, haproxy: string): Promise<string[]> => {
  const real = (await look.query(['readlink', '-f', haproxy])).stdout.trim()
  return real && real !== haproxy ? [haproxy, real] : [haproxy]
}

async function firewallFinding(look: Look, haproxy: string): Promise<Finding> {
  const tool = await look.find(firewallCandidates)
  if (!tool) return skipped('no application firewall here')
  const { stdout } = await look.query([tool, '--getglobalstate'])
  if (/State = 0|disabled/.test(stdout)) return ok('off')
  if (/State = 2/.test(stdout))
    return advice(
      'it blocks every incoming connection',
      'System Settings > Network > Firewall > Options: switch "Block all" off.',
    )
  const apps = (await look.query([tool, '--listapps'])).stdout.split('\n')
  const names = await bothNames(look, haproxy)
  const entry = apps.findIndex((line) => names.some((name) => line.includes(name)))
  const allowed = entry >= 0 && /Allow/i.test(apps.slice(entry, entry + 2).join(' '))
  const replaced = entry < 0 && apps.some((line) => /\/Cellar\/haproxy\//.test(line))
  return allowed
    ? ok('HAProxy is allowed in')
    : advice(
        replaced
          ? 'it knows HAProxy as it was before an upgrade, and asks at the screen before the new one may be reached'
          : 'it is on, and asks at the screen before HAProxy may be reached',
        `sudo ${firewall} --add ${haproxy} && sudo ${firewall} --unblockapp ${haproxy}`,
      )
}

function throughFirewall(setup: Setup): Check {
  const { haproxy } = setup.programs
  const check: Check = {
    id: 'firewall.haproxy',
    title: 'The application firewall lets HAProxy in',
    check: (look) => firewallFinding(look, haproxy),
  }
  if (!setup.answers.firewall) return check
  // When the firewall does not list it afterwards, that is advice again: nothing more can be done by command.
  let tried = false
  const step: Step = {
    ...check,
    interactive: true,
    keeps: 'a setting of your Mac’s firewall',
    async check(look) {
      const finding = await firewallFinding(look, haproxy)
      return finding.is === 'advice' && !tried ? { ...finding, is: 'missed' } : finding
    },
    async apply(host) {
      tried = true
      const tool = (await host.find(firewallCandidates)) ?? firewall
      for (const path of await bothNames(host, haproxy))
        for (const verb of ['--add', '--unblockapp'])
          await host.run(['sudo', tool, verb, path], { interactive: setup.attended })
    },
  }
  return step
}

/** What keeps a Mac from being a server: advice, and a change with consent where one command does it. */
export const power: Part = {
  name: 'power',
  steps: (_machine: Machine, setup) => [sleep(setup), ...(setup.mode === 'proxy' ? [throughFirewall(setup)] : [])],
  checks: () => advices(),
  async questions(look, _machine, setup): Promise<Question[]> {
    const asleep = (await sleepFinding(look)).is === 'advice'
    const closed = setup.mode === 'proxy' && (await firewallFinding(look, setup.programs.haproxy)).is === 'advice'
    return [
      ...(asleep
        ? [
            {
              id: 'power',
              kind: 'confirm',
              text: 'Keep this Mac awake on mains power (sudo pmset -c sleep 0 disksleep 0)?',
              initial: false,
            } as const,
          ]
        : []),
      ...(closed
        ? [
            {
              id: 'firewall',
              kind: 'confirm',
              text: 'Let HAProxy through the application firewall (sudo)?',
              initial: false,
            } as const,
          ]
        : []),
    ]
  },
}
