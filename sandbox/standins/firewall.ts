import { existsSync } from 'node:fs'
import { type Box, isRoot, type MacState } from './box.ts'
import { complain, say } from './system.ts'

function state({ firewall }: MacState): number {
  return say(`Firewall is ${firewall.state === 0 ? 'disabled' : 'enabled'}. (State = ${firewall.state})`)
}

function list({ firewall }: MacState): number {
  const apps = Object.entries(firewall.apps)
  const lines = apps.map(
    ([path, allowed], at) =>
      `${at + 1} : ${path} \n             (${allowed ? 'Allow' : 'Block'} incoming connections)\n`,
  )
  return say([`Total number of apps = ${apps.length}`, ...lines].join('\n'))
}

function blocked({ firewall }: MacState, path: string): number {
  const allowed = firewall.apps[path]
  if (allowed === undefined) return say('The file path you specified does not exist')
  return say(
    allowed
      ? `Incoming connection to the application is permitted `
      : `Incoming connection to the application is blocked `,
  )
}

function change(box: Box, path: string, edit: (apps: Record<string, boolean>) => void, done: string): number {
  if (!isRoot()) return complain('Must be root to change settings.')
  if (!existsSync(path)) return say('The file path you specified does not exist')
  box.save(({ firewall }) => edit(firewall.apps))
  return say(done)
}

/** socketfilterfw, the application firewall: reading is free, changing wants root. */
export function main(argv: string[], box: Box): number {
  const [verb, path = ''] = argv
  const { mac } = box
  const allow = (allowed: boolean) => (apps: Record<string, boolean>) => {
    apps[path] = allowed
  }
  switch (verb) {
    case '--getglobalstate':
      return state(mac)
    case '--getblockall':
      return say(
        mac.firewall.state === 2
          ? 'Firewall has block all state set to enabled.'
          : 'Firewall has block all state set to disabled.',
      )
    case '--getstealthmode':
      return say(`Firewall stealth mode is ${mac.firewall.stealth ? 'on' : 'off'}`)
    case '--listapps':
      return list(mac)
    case '--getappblocked':
      return blocked(mac, path)
    case '--add':
      return change(box, path, allow(true), `Application at path ( ${path} ) added to firewall`)
    case '--unblockapp':
      return change(box, path, allow(true), 'Incoming connection to the application is permitted')
    case '--blockapp':
      return change(box, path, allow(false), 'Incoming connection to the application is blocked')
    case '--remove':
      return change(box, path, (apps) => void delete apps[path], 'The application is removed from the firewall')
    default:
      return complain('Usage: socketfilterfw [--getglobalstate] [--getblockall] [--listapps]')
  }
}
