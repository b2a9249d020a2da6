import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, isRoot, type TailscaleMac } from '../box.ts'
import { complain, say } from '../system.ts'
import { putAddresses, takeAddresses } from './addresses.ts'

/** How often a waiting `up` looks at the Mac, ms. */
const LOOK_MS = 40

/** Go's durations: 2s, 10m, 1h30m, 500ms. Gives ms. */
export function duration(text: string): number {
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  const parts = [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)]
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0)
}

/** The value of `--name=value` or `--name value`. */
export function option(argv: string[], name: string): string | undefined {
  const at = argv.findIndex((word) => word.replace(/^--?/, '') === name)
  const glued = argv.find((word) => word.replace(/^--?/, '').startsWith(`${name}=`))
  return glued?.slice(glued.indexOf('=') + 1) ?? (at < 0 ? undefined : argv[at + 1])
}

/** How the real one spells a setting (cmd/tailscale/cli/up.go, fmtFlagValueArg). */
const spelt = ([name, value]: [string, string | true]): string =>
  value === true ? `--${name}` : `--${name}=${/^[\w@%+=:,./-]*$/.test(value) ? value : `'${value}'`}`

/**
 * Why `up` changes nothing: with any flag, or where a login is needed, every setting of one's own must be among its
 * words (cmd/tailscale/cli/up.go, checkForAccidentalSettingReverts).
 */
export function refusal(argv: string[], box: Box): number | undefined {
  const { own = {}, joined, state } = box.mac.tailscale
  const given = argv.filter((word) => word.startsWith('-'))
  const names = given.map((word) => word.replace(/^--?/, '').split('=')[0])
  if (names.includes('reset') || (given.length === 0 && joined && state !== 'NeedsLogin')) return undefined
  const missing = Object.entries(own).filter(([name]) => !names.includes(name))
  if (missing.length === 0) return undefined
  const words = [...given.map((word) => word.replace(/^(--timeout=\d+m)$/, '$10s')), ...missing.map(spelt).sort()]
  return complain(
    `Error: changing settings via 'tailscale up' requires mentioning all\nnon-default flags. To proceed, either re-run your command with --reset or\nuse the command below to explicitly mention the current value of\nall non-default settings:\n\n\ttailscale up ${words.join(' ')}\n`,
  )
}

function change(box: Box, edit: (tailscale: TailscaleMac) => void): void {
  box.save((mac) => edit(mac.tailscale))
}

function connect(box: Box): void {
  change(box, (tailscale) => {
    tailscale.state = tailscale.needsApproval && !tailscale.joined ? 'NeedsMachineAuth' : 'Running'
    tailscale.joined = true
    tailscale.endpointsKnown = true
    tailscale.loginPending = false
  })
  if (box.mac.tailscale.state === 'Running') putAddresses(box)
}

function expectLogin(box: Box, json: boolean): void {
  change(box, (tailscale) => {
    tailscale.loginPending = true
  })
  const { authUrl, state } = box.mac.tailscale
  if (json) say(JSON.stringify({ AuthURL: authUrl, QR: 'data:image/png;base64,…', BackendState: state }, null, '\t'))
  else complain(`\nTo authenticate, visit:\n\n\t${authUrl}\n`)
}

function expectApproval(): void {
  complain('\nTo approve your machine, visit (as admin):\n\n\thttps://login.tailscale.com/admin\n')
}

/** Waits until the tailnet is up: by the time that mac.json sets for the login, or by someone who edits the state. */
async function untilRunning(box: Box, deadline: number, json: boolean): Promise<boolean> {
  const started = Date.now()
  let said = ''
  for (;;) {
    const { state, loginAfterMs } = box.mac.tailscale
    if (state === 'Running') return true
    if (state === 'Stopped' || state === 'NoState') connect(box)
    else if (state === 'NeedsLogin' && loginAfterMs !== undefined && Date.now() - started >= loginAfterMs) connect(box)
    else if (state !== said) {
      if (state === 'NeedsLogin') expectLogin(box, json)
      if (state === 'NeedsMachineAuth') expectApproval()
      said = state
    }
    if (Date.now() >= deadline) return false
    await sleep(LOOK_MS)
  }
}

function loginByKey(box: Box, key: string): number {
  if (/wrong/i.test(key)) return complain('backend error: handling register with auth key: auth-key not found')
  connect(box)
  return 0
}

/** tailscale up: connects; where a login is needed, shows its address and waits for it. */
export async function up(argv: string[], box: Box): Promise<number> {
  const { denied, state, hurry = 1 } = box.mac.tailscale
  if (denied && !isRoot()) {
    return complain(
      "Access denied: prefs write access denied\n\nUse 'sudo tailscale up'.\nTo not require root, use 'sudo tailscale set --operator=$USER' once.",
    )
  }
  const key = option(argv, 'auth-key') ?? option(argv, 'authkey')
  if (key !== undefined && state !== 'Running') return loginByKey(box, key)
  const timeout = duration(option(argv, 'timeout') ?? '0s') / hurry
  const asked = state === 'NeedsLogin' || state === 'NeedsMachineAuth'
  if (
    !(await untilRunning(box, timeout > 0 ? Date.now() + timeout : Number.POSITIVE_INFINITY, argv.includes('--json')))
  ) {
    return complain(
      'timeout waiting for Tailscale service to enter a Running state; check health with "tailscale status"',
    )
  }
  change(box, (tailscale) => {
    tailscale.joined = true
    tailscale.loginPending = false
  })
  putAddresses(box)
  return asked ? complain('Success.', 0) : 0
}

/** tailscale down: the state is kept, the addresses leave the tunnel. */
export function down(box: Box): number {
  if (box.mac.tailscale.state === 'Stopped') return complain('Tailscale was already stopped.', 0)
  change(box, (tailscale) => {
    tailscale.state = 'Stopped'
  })
  takeAddresses(box)
  return 0
}

/** tailscale logout: the key is thrown away. */
export function logout(box: Box): number {
  takeAddresses(box)
  change(box, (tailscale) => {
    tailscale.state = 'NeedsLogin'
    tailscale.joined = false
    tailscale.loginPending = false
  })
  return 0
}
