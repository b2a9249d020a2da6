import { isIP } from 'node:net'
import { dnsNames, type Form, forms, placesOf, recordLines } from '../gateway/dns.ts'
import { gatewayOf } from '../gateway/of-site.ts'
import { exitCodes, Stop } from '../host/command.ts'
import { realLook } from '../host/host.ts'
import { called, typed } from '../host/typed.ts'
import { didYouMean } from '../site/nearest.ts'
import type { Flags, Script, Ui } from './cli.ts'
import { prepare } from './prepare.ts'

const shown = (text: string): string => JSON.stringify(text.slice(0, 80))

function formOf(flags: Flags): Form {
  const word = (flags.form as string | undefined) ?? 'zone'
  if (word in forms) return word as Form
  const all = Object.keys(forms)
  throw new Stop(
    exitCodes.usage,
    `--form is ${all.join(', ')}, not ${shown(word)}${didYouMean(word, all) || '.'} Nothing was printed.`,
  )
}

/** The addresses of the machine in front of this one, as they were given. */
export function borderOf(flags: Flags): string[] {
  const given = (flags.public as string[] | undefined) ?? []
  const wrong = given.find((address) => isIP(address) === 0)
  if (wrong === undefined) return given
  throw new Stop(exitCodes.usage, `--public takes an address such as 203.0.113.1, not ${shown(wrong)}.`)
}

const comment = { zone: ';', hosts: '#', dnsmasq: '#' } as const

/** dns: the records by which others find this gateway. */
async function dns(ui: Ui, flags: Flags): Promise<number> {
  const form = formOf(flags)
  const border = borderOf(flags)
  const look = realLook(ui.note, ui.waiting)
  const { machine, setup } = await prepare(look, ui)
  const gateway = gatewayOf(machine, setup)
  const names = dnsNames(gateway)
  if (names.length === 0)
    throw new Stop(
      exitCodes.precondition,
      `There is no name to write down: tls and hosts in settings.yaml have none but Tailscale’s own; ${called('apply')} brings one into effect.`,
    )
  const places = placesOf(gateway, border)
  if (ui.json) process.stdout.write(`${JSON.stringify({ names, ...places }, null, 2)}\n`)
  else
    for (const [place, words] of [
      ['inside', 'For neighbours: their own resolver says so'],
      ['outside', 'For the internet: the public zone says so'],
    ] as const) {
      const known = names.filter(({ inward }) => place === 'inside' || !inward)
      const lines = recordLines(form, known, places[place])
      if (lines.length > 0) process.stdout.write(`${comment[form]} ${words}.\n${lines.join('\n')}\n`)
    }
  return exitCodes.done
}

export const script: Script = {
  usage: `Usage: ${typed('dns')} [--form zone|hosts|dnsmasq] [--public ADDRESS …] [--json]
The DNS records for every name of this gateway: those of tls and hosts in settings.yaml, and NAME-api of each node. Changes
nothing anywhere; ${called('test')} --resolver ADDRESS asks whether a resolver says the same.

  --form FORM          zone (a zone file), hosts (a hosts file) or dnsmasq (zone)
  --public ADDRESS     the address of the machine in front of this one, where the internet comes in (may be given twice)
  --json               one JSON document on stdout`,
  options: { form: { type: 'string' }, public: { type: 'string', multiple: true }, json: { type: 'boolean' } },
  run: dns,
}
