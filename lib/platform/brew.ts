import { exitCodes, type Output, Stop } from '../command.ts'
import type { Host, Look } from '../host.ts'

/** Apple silicon's Homebrew, and the only folder that its ready-made packages are for (Homebrew/brew: utils/os.sh). */
const home = '/opt/homebrew'

/** Which Homebrew counts here, and one that does not. */
export interface Homebrew {
  brew?: string
  /** where it is or would be */
  prefix: string
  otherBrew?: { path: string; prefix: string }
}

/** Finds Apple silicon's Homebrew: an Intel one, brought along from an older Mac, may come before it in PATH. */
export async function surveyHomebrew(look: Look): Promise<Homebrew> {
  const ours = await look.find([`${home}/bin/brew`])
  const found = [await look.find(['brew']), await look.find(['/usr/local/bin/brew'])]
  const path = found.find((one) => one !== undefined && one !== ours)
  const prefix = path && (await look.query([path, '--prefix'])).stdout.trim()
  if (!path || !prefix || prefix === home) return { brew: ours ?? path, prefix: home }
  if (!ours && (await isDefault(look, path))) return { brew: path, prefix }
  return { brew: ours, prefix: home, otherBrew: { path, prefix } }
}

/** Whether Homebrew itself takes its folder for the one of this processor; asked natively, since a translated one would count itself as Intel's. */
const isDefault = async (look: Look, brew: string): Promise<boolean> =>
  (await look.query(['arch', '-arm64', brew, 'doctor', 'check_homebrew_prefix'], { timeoutMs: 30_000 })).code === 0

/** A text in which paths of one version lead to whatever version is there: an upgrade removes the former (Homebrew/brew: docs/Manpage, `opt`). */
export const stable = (text: string): string => text.replace(/\/Cellar\/([^/\s]+)\/[^/\s]+\//g, '/opt/$1/')

/** Homebrew's own installer. */
export const installer = 'https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh'

/** Keeps Homebrew from asking, updating, upgrading and tidying beyond what was named (facts: brew `env_config.rb`). */
export const brewEnv: Record<string, string> = {
  HOMEBREW_NO_ASK: '1',
  HOMEBREW_NO_AUTO_UPDATE: '1',
  HOMEBREW_NO_INSTALL_UPGRADE: '1',
  HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK: '1',
  HOMEBREW_NO_INSTALL_CLEANUP: '1',
  HOMEBREW_NO_ENV_HINTS: '1',
  HOMEBREW_NO_EMOJI: '1',
  HOMEBREW_NO_ANALYTICS: '1',
}

/** Runs Homebrew, at a person's terminal when one sits there: its words are not seen then, so a failure asks the network itself. */
export function runBrew(host: Host, argv: string[], attended: boolean, env = brewEnv): Promise<Output> {
  return host.run(argv, { env, interactive: attended }).catch(async (error: Error) => {
    if (!attended || (await online(host))) throw error
    throw new Stop(
      exitCodes.precondition,
      `There is no network: ${error.message}, and ${new URL(installer).host} cannot be reached; look at the network and run install.ts again.`,
    )
  })
}

/** What curl ends with when a name is not found, nobody can be connected to, or nothing comes back. */
const unreachable = [6, 7, 28]

async function online(look: Look): Promise<boolean> {
  const { code } = await look.query(['curl', '-fsSL', '--max-time', '10', '-o', '/dev/null', installer], {
    timeoutMs: 15_000,
  })
  return !unreachable.includes(code)
}
