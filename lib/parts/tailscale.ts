import { Stop, Unexpected } from '../host/command.ts'
import type { Host, Overheard } from '../host/host.ts'
import { called } from '../host/typed.ts'
import { platformOf } from '../platform/here.ts'
import type { Somewhere } from '../platform/platform.ts'
import { type Tailscale, tailscaleState, typedTailscale } from '../platform/tailscale.ts'
import { off } from '../platform/tailscale-serve.ts'
import { atLeast } from '../platform/versions.ts'
import type { Machine } from '../site/machine.ts'
import type { Setup } from '../site/setup.ts'
import { advice, type Check, type Finding, missed, ok, type Step } from '../steps/step.ts'
import type { Part } from './part.ts'

const day = 86_400_000

/** What to do in each state; only Running is up. */
const remedies = (at: Pick<Somewhere, 'system'>): Partial<Record<Tailscale['state'], string>> => ({
  NeedsMachineAuth: 'An admin of your tailnet must approve this machine at https://login.tailscale.com/admin/machines.',
  Starting: 'Wait until Tailscale is connected; if it stays so, see `tailscale status`.',
  ...platformOf(at).tailscale.remedies,
})

/** An address of IPv4 can be switched off for the tailnet or a device (tailscale.com/kb/1337: disable-ipv4). */
const addressed = `Give it one: take \`disable-ipv4\` out of nodeAttrs at https://login.tailscale.com/admin/acls, and run ${called('install')} again.`

const withoutIpv4 = ({ ipv6 }: Pick<Tailscale, 'ipv6'>): string =>
  `the tailnet gives this machine ${ipv6 ? `an IPv6 address alone (${ipv6})` : 'no address'}, and the gateway needs one of IPv4`

/** A sentence whose commands work as they stand there. */
const asTyped = (sentence: string, tailscale: Pick<Tailscale, 'cli'>): string =>
  sentence.replaceAll('`tailscale ', `\`${typedTailscale(tailscale)} `)

export function upFinding(tailscale: Omit<Tailscale, 'serves'>, at: Pick<Somewhere, 'system'>): Finding {
  if (tailscale.state === 'Running' && tailscale.ipv4)
    return ok(
      `${tailscale.ipv4}${tailscale.name ? `, ${tailscale.name}${tailscale.unresolved ? ' (MagicDNS is off, so clients use the address)' : ''}` : ''}`,
    )
  if (tailscale.state === 'Running') return missed(withoutIpv4(tailscale), addressed)
  const saw = tailscale.expired ? 'the key of this machine has expired' : `Tailscale is ${tailscale.state}`
  return missed(
    saw,
    asTyped(
      tailscale.expired
        ? 'Log in again: `tailscale up`.'
        : (remedies(at)[tailscale.state] ?? 'See `tailscale status`.'),
      tailscale,
    ),
  )
}

const overSsh = (machine: Machine): string =>
  `Over ssh the Tailscale app cannot be approved; run ${called('install')} at the screen, or install the command-line variant yourself: ${platformOf(machine).packages.withService('tailscale')} && sudo tailscale up.`

function present(machine: Machine, setup: Setup): Step {
  const { packager } = machine
  const { packages, tailscale: words } = platformOf(machine)
  const [name, kind] = packages.names.tailscale
  return {
    id: 'tailscale.package',
    title: 'Tailscale is installed',
    keeps: 'you may use it for other things',
    interactive: true,
    brings: name,
    asks: words.asks,
    exit: 3,
    async check(look) {
      const { cli, variants } = await tailscaleState(look)
      return cli
        ? ok(`${cli}${variants[0] ? ` (${variants[0]})` : ''}`)
        : missed('Tailscale is not installed', packages.installs(packager, name, kind))
    },
    async apply(host) {
      if (machine.ssh && kind === 'cask') throw new Stop(3, overSsh(machine))
      await packages.install(host, packager, name, kind, setup.attended)
    },
  }
}

/** How long a login is waited for, in minutes: where nobody sits, only somebody who watches could open the address. */
const patience = (setup: Setup): number => (setup.attended ? 10 : 2)

/** Where a system extension is allowed: macOS 15 moved it (facts: tailscale.com/kb/1340). */
const extensions = (machine: Machine): string =>
  atLeast(machine.version, [15]) ? 'General > Login Items & Extensions' : 'Privacy & Security'

/** The fresh app starts its daemon only when its system extension was allowed at the screen. */
async function wakeApp(host: Host, machine: Machine, setup: Setup): Promise<void> {
  await host.run(['open', '-a', 'Tailscale'], { codes: [0, 1] })
  const answering = async () => (await tailscaleState(host)).state !== 'unreachable'
  if (!(await answering()))
    setup.say?.(
      `Allow Tailscale in the windows that macOS shows (System Settings > ${extensions(machine)}); waiting ${patience(setup)} minutes, Ctrl-C to stop.`,
    )
  if (!(await host.until('', patience(setup) * 60_000, answering)))
    throw new Stop(
      3,
      `Tailscale did not start; open the app, allow its extension, log in, and run ${called('install')} again.`,
    )
}

/** What `tailscale up` says where settings of one's own are not among its words, and the command that would name them all. */
const refused = /changing settings via 'tailscale up'[\s\S]*?\n\ttailscale up(.*)/

/** Why it did not connect, in our own words. */
function notUp(error: Error, login: boolean, minutes: number, cli: string): Error {
  if (!(error instanceof Unexpected)) return error
  const { code, stderr } = error.output
  const flags = refused.exec(stderr)?.[1]?.replace(/ --timeout=\S+/, '')
  if (flags !== undefined)
    return new Stop(
      3,
      asTyped(
        `Tailscale has settings of your own, which a login from here would have to repeat; log in from its menu (or run \`tailscale up${flags}\`), and run ${called('install')} again.`,
        { cli },
      ),
    )
  // At its own deadline it says so; ended at ours it says that it was cancelled.
  if (code !== 124 && !/timeout waiting for|context canceled/.test(stderr)) return error
  return new Stop(
    3,
    asTyped(
      login
        ? `Nobody logged in to Tailscale within ${minutes} minutes; run \`tailscale up\`, open the address it shows, and run ${called('install')} again.`
        : `Tailscale did not connect within ${minutes} minutes; see \`tailscale status\`, connect in its menu, and run ${called('install')} again.`,
      { cli },
    ),
  )
}

/** Of what it says the address to be opened is for the person, on one line with what it is for. */
function loginAddress(): Overheard {
  let before = ''
  return {
    by: 'Tailscale',
    tells(line) {
      const text = line.trim()
      if (/^https:/.test(text)) return `${before} ${text}`
      if (text !== '') before = text
      return undefined
    },
  }
}

/**
 * Connects, and where it must waits for the login in the browser; Ctrl-C is the way out, and the next run goes on here.
 * Only a bare `up` leaves settings of one's own alone, and only while no login is needed (tailscale: cmd/tailscale/cli/up.go).
 */
async function connect(host: Host, { cli = 'tailscale', state }: Omit<Tailscale, 'serves'>, setup: Setup) {
  const minutes = patience(setup)
  const login = state === 'NeedsLogin'
  const up = ['env', 'TAILSCALE_BE_CLI=1', cli, 'up', ...(login ? [`--timeout=${minutes}m`] : [])]
  await host
    .run(up, { overheard: loginAddress(), timeoutMs: (login ? minutes + 1 : minutes) * 60_000 })
    .catch((error: Error) => {
      throw notUp(error, login, minutes, cli)
    })
}

function up(machine: Machine, setup: Setup): Step {
  return {
    id: 'tailscale.up',
    title: 'This machine is on the tailnet',
    keeps: 'your tailnet stays as it is',
    interactive: true,
    asks: [`a browser login within ${patience(setup)} minutes`],
    exit: 3,
    needs: ['tailscale.package'],
    check: async (look) => upFinding(await tailscaleState(look), look),
    async apply(host) {
      const { variants, ...found } = await tailscaleState(host)
      if (found.state === 'Running' && !found.ipv4)
        throw new Stop(3, `Tailscale is up, but ${withoutIpv4(found)}. ${addressed}`)
      if (variants.some((variant) => variant !== 'formula')) await wakeApp(host, machine, setup)
      const now = await tailscaleState(host)
      if (now.state === 'Running') return
      if (now.state === 'NeedsMachineAuth') throw new Stop(3, remedies(host).NeedsMachineAuth ?? '')
      await connect(host, now, setup)
    },
    settlesWithin: 20_000,
  }
}

const oneVariant = (machine: Machine): Check => ({
  id: 'tailscale.one-variant',
  title: 'Only one Tailscale is installed',
  exit: 3,
  async check(look) {
    const { variants } = machine.tailscale
    // The formula beside the app is often there for its command alone; its daemon is what fights.
    const fights = variants.length > 1 && (await look.query(['pgrep', '-x', 'tailscaled'])).code === 0
    return !fights
      ? ok(variants[0] ?? 'none yet')
      : missed(
          `two variants of Tailscale are installed: ${variants.join(' and ')}`,
          `They fight over the tunnel; remove one: ${platformOf(look).packages.typed(machine.packager, 'uninstall', 'tailscale')}, or delete Tailscale.app.`,
        )
  },
})

const keyExpiry = (machine: Machine): Check => ({
  id: 'tailscale.key-expiry',
  title: 'The key of this machine lasts for another month',
  async check() {
    const { keyExpiry: expiry } = machine.tailscale
    if (!expiry || expiry.getTime() < day) return ok('no expiry')
    const days = Math.floor((expiry.getTime() - Date.now()) / day)
    const text = `expires on ${expiry.toISOString().slice(0, 10)}`
    return days > 30
      ? ok(text)
      : advice(
          `the key of this machine ${text}, and nobody reaches it then`,
          'Switch key expiry off for this machine at https://login.tailscale.com/admin/machines, or log in again before.',
        )
  },
})

const nothingServed = (machine: Machine, setup: Setup): Check => ({
  id: 'tailscale.serve',
  title: 'tailscale serve does not hold the gateway’s port',
  exit: 3,
  async check() {
    const { serves = [] } = machine.tailscale
    const { port } = setup.settings
    const ours = serves.filter((one) => one.service === undefined)
    const held = ours.find((one) => one.port === port)
    const ports = [...new Set(ours.map((one) => one.port))]
    if (!held) return ok(ports.length ? `serves ${ports.join(', ')}` : 'nothing served')
    const cli = typedTailscale(machine.tailscale)
    return missed(
      `tailscale serve answers on port ${port} in the gateway’s place`,
      `${off(held, cli)}   (see: ${cli} serve status)`,
    )
  },
})

const grantFor = (ipv4: string | undefined, port: number): string =>
  JSON.stringify({ src: ['autogroup:member'], dst: [ipv4 ?? '100.x.y.z'], ip: [`tcp:${port}`] })

const policyAdvice = ({ tailscale }: Machine, { settings }: Setup): Check => ({
  id: 'tailscale.policy',
  title: 'The tailnet policy says who may come',
  check: async () =>
    advice(
      'your tailnet’s policy cannot be read from here, and Tailscale’s default lets every device of it in',
      `Say who may come at https://login.tailscale.com/admin/acls: "grants": [${grantFor(tailscale.ipv4, settings.port)}]; it restricts nobody while the allow-all rule stands.`,
    ),
})

/** Who can reach the machine. */
export const tailscale: Part = {
  name: 'tailscale',
  about: ({ tailscale }) => ({
    title: 'Tailscale',
    what: 'decides who can reach this machine',
    where: tailscale.ipv4 ?? 'once you have logged in',
  }),
  steps: (machine, setup) => [
    oneVariant(machine),
    present(machine, setup),
    up(machine, setup),
    nothingServed(machine, setup),
  ],
  checks: (machine, setup) => [keyExpiry(machine), policyAdvice(machine, setup)],
}
