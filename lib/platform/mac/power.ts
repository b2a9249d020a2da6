import type { Look } from '../../host/host.ts'
import type { Aspect, Change, Power } from '../platform.ts'

/** One value of `pmset -g custom` on mains power: the last number after the key, section by section. */
export function pmsetValue(text: string, key: string): number | undefined {
  const mains = text.split(/^(?=\S.*:$)/m).find((section) => section.startsWith('AC Power')) ?? text
  const found = new RegExp(`^ ${key}\\s+(\\d+)`, 'm').exec(mains)?.[1]
  return found === undefined ? undefined : Number(found)
}

const pmset = async (look: Look, key: string) => pmsetValue((await look.query(['pmset', '-g', 'custom'])).stdout, key)

const stayAwake = ['sudo', 'pmset', '-c', 'sleep', '0', 'disksleep', '0']

/** A Mac with a battery has settings for it. */
const portable = async (look: Look): Promise<boolean> =>
  /Battery Power/.test((await look.query(['pmset', '-g', 'custom'])).stdout)

const sleep: Change = {
  id: 'power.sleep',
  title: 'The Mac does not fall asleep on mains power',
  question: 'Keep this Mac awake on mains power?',
  asks: ['your password'],
  keeps: 'a setting of your Mac; `sudo pmset -c sleep 1` brings sleep back',
  async ask(look) {
    const minutes = await pmset(look, 'sleep')
    if (minutes === undefined) return { is: 'unknown', saw: 'pmset says nothing about sleep' }
    return minutes === 0
      ? { is: 'good', saw: 'never' }
      : {
          is: 'wanting',
          saw: `this Mac falls asleep after ${minutes} min on mains power, and then answers nobody`,
          help: stayAwake.join(' '),
        }
  },
  make: async (host, attended) => void (await host.run(stayAwake, { interactive: attended })),
}

const restart: Aspect = {
  id: 'power.restart',
  title: 'The Mac starts again after a power cut',
  async ask(look) {
    const value = await pmset(look, 'autorestart')
    if (value === undefined) return { is: 'unknown', saw: 'this Mac has no such setting' }
    return value === 1
      ? { is: 'good', saw: 'autorestart 1' }
      : {
          is: 'wanting',
          saw: 'after a power cut this Mac stays off',
          help: 'sudo pmset -a autorestart 1',
        }
  },
}

const login: Aspect = {
  id: 'power.login',
  title: 'Somebody is logged in after a restart',
  async ask(look) {
    const { stdout } = await look.query(['fdesetup', 'status'])
    if (/FileVault is On/.test(stdout))
      return {
        is: 'wanting',
        saw: 'FileVault is on: after a restart the Mac waits for your password, and nothing of this runs before',
        help: 'Log in at the screen after restarts; `sudo fdesetup authrestart` restarts once without the question.',
      }
    const settings = '/Library/Preferences/com.apple.loginwindow'
    const user = await look.query(['defaults', 'read', settings, 'autoLoginUser'])
    return user.code === 0
      ? { is: 'good', saw: `${user.stdout.trim()} is logged in automatically` }
      : {
          is: 'wanting',
          saw: 'nobody is logged in automatically, so nothing of this runs after a restart',
          help: 'System Settings > Users & Groups > Automatically log in as',
        }
  },
}

const lid: Aspect = {
  id: 'power.lid',
  title: 'No lid puts the Mac to sleep',
  async ask(look) {
    return (await portable(look))
      ? {
          is: 'wanting',
          saw: 'this is a laptop: a shut lid sends it to sleep unless a display is attached',
          help: 'Keep the lid open, or attach a display.',
        }
      : { is: 'good', saw: 'no battery' }
  },
}

export const power: Power = {
  portable,
  sleep,
  others: [restart, login, lid],
  awakeWhile: (pid) => ['caffeinate', '-s', '-w', `${pid}`],
}
