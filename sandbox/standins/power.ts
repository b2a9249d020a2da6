import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, isRoot, type MacState } from './box.ts'
import { become, complain, say } from './system.ts'

function section(title: string, values: Record<string, number>): string[] {
  return [`${title}:`, ...Object.entries(values).map(([key, value]) => ` ${key.padEnd(20)} ${value}`)]
}

function custom({ pmset: power }: MacState): string {
  const battery = power.battery ? section('Battery Power', power.battery) : []
  return [...battery, ...section('AC Power', power.ac)].join('\n')
}

function general({ pmset: power }: MacState): string {
  const wide = [
    'System-wide power settings:',
    ...(power.sleepDisabled === undefined ? [] : [` SleepDisabled\t\t${power.sleepDisabled ? 1 : 0}`]),
  ]
  return [...wide, 'Currently in use:', ...section('', power.ac).slice(1)].join('\n')
}

function pairs(words: string[]): [string, number][] {
  return words.flatMap((word, at) => (at % 2 === 0 ? [[word, Number(words[at + 1])] as [string, number]] : []))
}

function change(box: Box, source: string, words: string[]): number {
  if (!isRoot()) return complain("'pmset' must be run as root...", 1)
  const wrong = words.length === 0 || words.length % 2 === 1 || pairs(words).some(([, value]) => Number.isNaN(value))
  if (wrong) return complain('Usage:  pmset <options>\n', 64)
  box.save(({ pmset: power }) => {
    for (const [key, value] of pairs(words)) {
      if (key === 'disablesleep') power.sleepDisabled = value === 1
      else {
        if (source !== '-b') power.ac[key] = value
        if (source !== '-c' && power.battery) power.battery[key] = value
      }
    }
  })
  return 0
}

/** pmset: `-g custom`, `-g`, and settings as root. */
export function pmset(argv: string[], box: Box): number {
  const [verb = '', ...words] = argv
  if (verb === '-g' && words[0] === 'custom') return say(custom(box.mac))
  if (verb === '-g' && words[0] === 'batt') return say(`Now drawing from 'AC Power'`)
  if (verb === '-g' && words.length === 0) return say(general(box.mac))
  return ['-a', '-b', '-c'].includes(verb) ? change(box, verb, words) : complain('Usage:  pmset <options>\n', 64)
}

/** fdesetup status: whether FileVault is on. */
export function fdesetup(argv: string[], { mac }: Box): number {
  return argv[0] === 'status'
    ? say(`FileVault is ${mac.fileVault ? 'On' : 'Off'}.`)
    : complain('Error: unknown verb.', 22)
}

/** defaults: `read DOMAIN KEY` of the auto-login user and of the keys in mac.json. */
export function defaults(argv: string[], { mac }: Box): number {
  const [verb, domain = '', key = ''] = argv
  if (verb !== 'read') return complain("Command line interface to a user's defaults.", 255)
  const login =
    domain.replace(/\.plist$/, '') === '/Library/Preferences/com.apple.loginwindow' && key === 'autoLoginUser'
  const value = mac.defaults[domain]?.[key] ?? (login ? mac.autoLoginUser : undefined)
  if (value !== undefined) return say(value)
  const stamp = new Date().toISOString().replace('T', ' ').replace('Z', '')
  return complain(
    `${stamp} defaults[${process.pid}:1f2e3d] \nThe domain/default pair of (${domain}, ${key}) does not exist`,
  )
}

async function whileAlive(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await sleep(50)
}

/** caffeinate: runs a command, or lasts as long as a process (-w), a time (-t), or for ever. */
export async function caffeinate(argv: string[]): Promise<number> {
  const words = [...argv]
  const options: Record<string, string> = {}
  while (words[0]?.startsWith('-')) {
    const word = words.shift() ?? ''
    if (/[wt]$/.test(word)) options[word.slice(-1)] = words.shift() ?? ''
  }
  const [command, ...args] = words
  if (command !== undefined) return become(command, args)
  const waits = [
    options.w === undefined ? [] : whileAlive(Number(options.w)),
    options.t === undefined ? [] : sleep(Number(options.t) * 1000),
  ]
  await (waits.flat().length > 0 ? Promise.race(waits.flat()) : sleep(2 ** 31 - 1))
  return 0
}
