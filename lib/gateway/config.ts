import { isIP } from 'node:net'
import { sha256 } from '../host/command.ts'
import { places } from '../platform/here.ts'
import type { Configuration } from '../site/configuration.ts'
import type { Templates } from '../site/setup.ts'
import { bindsOf, indent } from './binds.ts'
import { several } from './listeners.ts'
import { guard } from './policies/connections.ts'
import { policies } from './policies/index.ts'
import { certificateList, tlsWords } from './policies/tls.ts'
import { frontendSlots, type Gateway, type Policy, type Slot } from './policy.ts'
import { quoted } from './quoted.ts'

/**
 * Renders HAProxy's configuration. The files lie in a folder named after the fingerprint, so that going back to the
 * last good text also goes back to its files. Throws when a listener's address is not a plain unicast address.
 */
export function render(gateway: Gateway, templates: Templates): Configuration {
  for (const listener of gateway.listeners) listener.addresses.forEach(checkAddress)
  const list = policies(gateway)
  const files = Object.assign({}, ...list.map((policy) => policy.files ?? {})) as Record<string, string>
  const draft = fill(templates.config, {
    global: indent(collect(list, 'global')),
    defaults: indent(collect(list, 'defaults')),
    frontends: frontend(gateway, list, templates.frontend),
    inference: indent(collect(list, 'inference')),
    metadata: indent(collect(list, 'metadata')),
    sections: list.flatMap((policy) => policy.sections ?? []).join('\n\n'),
  })
  const fingerprint = sha256(JSON.stringify([draft, files]))
  const folder = `${places(gateway).maps}/${fingerprint.slice(0, 12)}`
  const text = draft
    .replace('global\n', `global\n    setenv CFG_ID ${fingerprint}\n`)
    .replaceAll('{{files}}', `${quoted(folder)}`)
    .replaceAll('{{keys}}', quoted(places(gateway).keyMaps))
    .replaceAll('{{certs}}', quoted(places(gateway).certs))
  return {
    text: `${text.trimEnd()}\n`,
    files: Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content])),
    fingerprint,
  }
}

/** All addresses at once in any spelling, multicast, broadcast. */
const notOne = /^[0:.]*$|:0\.0\.0\.0$|^(22[4-9]|23\d|255)\.|^ff/i

function checkAddress(address: string): void {
  if (isIP(address) === 0 || notOne.test(address)) throw new Error(`not an address to listen on: ${address}`)
}

/** One for all listeners, so that no rule can be forgotten on one of them. */
function frontend(gateway: Gateway, list: Policy[], template: string): string {
  const slots = Object.fromEntries(frontendSlots.map((slot) => [slot, collect(list, slot)]))
  const lines = { ...slots, connection: [...guard(gateway), ...(slots.connection ?? [])] }
  const blocks = Object.fromEntries(Object.entries(lines).map(([slot, rules]) => [slot, indent(rules)]))
  const binds = gateway.listeners.flatMap((listener) => {
    const words = `${several(gateway) ? ` name ${listener.name}` : ''}${tlsWords(listener, certificateList(gateway, listener))}`
    return bindsOf(gateway, listener, words)
  })
  return fill(template, { ...blocks, name: gateway.listeners[0]?.name ?? '', binds: indent(binds) })
}

const collect = (list: Policy[], slot: Slot): string[] => list.flatMap((policy) => policy.lines[slot] ?? [])

/** Puts whole blocks in place of `{{name}}`; a slot without lines leaves no empty line. */
function fill(template: string, blocks: Record<string, string>): string {
  return template
    .split('\n')
    .flatMap((line) => {
      const filled = line.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => blocks[name] ?? whole)
      return filled === '' && line !== '' ? [] : [filled]
    })
    .join('\n')
    .trimEnd()
}
