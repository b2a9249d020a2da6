import type { Host, Look } from '../host/host.ts'
import { places, platformOf } from '../platform/here.ts'
import { reload } from './reload.ts'

/**
 * Whether HAProxy binds the tailnet's IPv6 address. HAProxy ends when an address that it is to bind is not there, so this
 * is said in a file of its own, which it reads before its configuration at each start and reload.
 */
export type Ipv6 = 'on' | 'off'

const variable = 'GATEWAY_IPV6'

/** The file's text; the job (templates/bin/jobs.sh) writes the same. */
export const ipv6Text = (is: Ipv6): string => `global\n    setenv ${variable} ${is}\n`

/** Lines that count only where IPv6 is not off; HAProxy 2.4 and newer. */
export const unlessOff = (line: string): string[] => [`.if strneq("$${variable}",off)`, line, '.endif']

/** The lines of a configuration without those that count only where IPv6 is not off. */
export const withoutIpv6 = (text: string): string =>
  text.replaceAll(/^\s*\.if strneq\("\$GATEWAY_IPV6",off\)\n[\s\S]*?^\s*\.endif\n/gm, '')

/** Whether the running worker binds it; undefined when none runs, or one of an older install that always does. */
export async function runningIpv6(look: Look): Promise<Ipv6 | undefined> {
  const answer = await look.ask(places(look).adminSocket, `show env ${variable}`)
  const said = new RegExp(`^${variable}=(on|off)$`, 'm').exec(answer ?? '')?.[1]
  return said as Ipv6 | undefined
}

/** Says what the next start or reload shall do. */
export async function chooseIpv6(host: Host, is: Ipv6): Promise<void> {
  const { ipv6 } = places(host)
  if ((await host.read(ipv6)) !== ipv6Text(is)) await host.write(ipv6, ipv6Text(is))
}

/** Has the running gateway bind its IPv6 address by a reload, which cuts no stream. Throws when it goes on without. */
export async function bringInIpv6(host: Host): Promise<void> {
  await chooseIpv6(host, 'on')
  const fault = await reload(host, async () => (await runningIpv6(host)) === 'on')
  if (!fault) return
  await chooseIpv6(host, 'off')
  throw new Error(`The gateway could not bind its IPv6 address, so it goes on with IPv4 alone. ${fault}`)
}

/** Whether the gateway runs without an IPv6 address that it could bind by now. */
export async function ipv6Came(look: Look): Promise<boolean> {
  if ((await runningIpv6(look)) !== 'off') return false
  const configured = /^ {4}bind \[([0-9a-f:]+)\]:\d+\b(?! v6only name (?!tailnet))/m.exec(
    (await look.read(places(look).config)) ?? '',
  )?.[1]
  return (await platformOf(look).addresses.all(look)).some(({ address, unready }) => address === configured && !unready)
}
