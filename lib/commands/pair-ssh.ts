import { calledBySudo } from '../host/caller.ts'
import { exitCodes, type Output, Stop, Unexpected } from '../host/command.ts'
import type { Host } from '../host/host.ts'
import { typed } from '../host/typed.ts'

/**
 * What the other gateway does with what comes by its input, whatever shell its user has: it is kept in a folder for its
 * owner alone as long as that takes. Once it is there whole, a connection that is lost stops nothing: what restore says is
 * kept in that folder, too, and told afterwards. First and last it tells what time it is there. Its exit code is that of restore.
 */
export const receiving = `exec sh -c '${[
  'echo "clock $(date +%s)"',
  'umask 077; at=$(mktemp -d) || exit 1',
  'trap "" HUP PIPE',
  'cat > "$at/pair.json"',
  'as=; [ "$(id -u)" = 0 ] || as="sudo -n"',
  '$as rop restore "$at/pair.json" --pair --yes > "$at/said" 2> "$at/told"',
  'code=$?',
  'cat "$at/said"; cat "$at/told" >&2',
  'rm -r "$at"',
  'echo "clock $(date +%s)"',
  'exit $code',
].join('; ')}'`

/** Whom ssh is to reach. A word that begins with a hyphen would be an option of ssh's. */
export function addressee(to: string, peer: string): string {
  if (/^[A-Za-z0-9_][\w.-]*(@[A-Za-z0-9[][\w.:\]-]*)?$/.test(to)) return to
  throw new Stop(
    exitCodes.usage,
    `--to takes whom ssh is to reach, such as root@${peer}, not ${JSON.stringify(to.slice(0, 80))}. Nothing was changed.`,
  )
}

/** It asks for nothing and takes no terminal, whatever its user's own file says, and notices within half a minute that nobody is there any more. */
const options = ['BatchMode=yes', 'ConnectTimeout=10', 'ServerAliveInterval=5', 'ServerAliveCountMax=3']

/** ssh as a person means it: with the keys, and by what is known of machines, of whoever typed `sudo`. Their agent goes along where sudo left it. */
function ssh(to: string): string[] {
  const argv = ['ssh', '-T', ...options.flatMap((one) => ['-o', one]), '--', to, receiving]
  const person = calledBySudo()
  return person ? ['sudo', '-n', '--preserve-env=SSH_AUTH_SOCK', '-u', person, '--', ...argv] : argv
}

/** ms within which the other gateway must have it in force */
const patience = 600_000

/** Gives a file to the other gateway, which restores it. Throws `Stop` where it did not take it, or nobody knows whether it did. */
export async function sendBySsh(host: Host, file: string, to: string): Promise<Output> {
  if ((await host.find(['ssh'])) === undefined)
    throw new Stop(
      exitCodes.precondition,
      `There is no ssh on this machine to reach ${to} with; install it (openssh-client), or carry a file over: ${typed('pair sync --folder FOLDER')}. Nothing was changed.`,
    )
  const argv = ['sh', '-c', 'exec "$@" < "$0"', file, ...ssh(to)]
  try {
    return await host.run(argv, { codes: [0, exitCodes.partly], timeoutMs: patience, secret: true })
  } catch (error) {
    throw error instanceof Unexpected ? refused(to, error.output) : error
  }
}

/** Its last line without the mark of a failure, which the sentence here has itself. */
const lastOf = (text: string): string => text.trim().split('\n').at(-1)?.trim().replace(/^✗ /, '') ?? ''

/** ssh itself ends with 255 (ssh(1), EXIT STATUS); anything else is what was said there. */
function refused(to: string, { code, stdout, stderr }: Output): Stop {
  const begun = /^clock /m.test(stdout)
  if (code === 124 || (code === 255 && begun)) return cut(to, code === 124 ? 'no word for 10 minutes' : lastOf(stderr))
  return code === 255 ? unreached(to, stderr) : declined(to, code, stderr)
}

const cut = (to: string, said: string): Stop =>
  new Stop(
    exitCodes.failed,
    `The connection to ${to} ended before it said how it went (${said || 'ssh says nothing'}). It has all of it or nothing; see there with \`rop status\`, and carry it over again: ${typed('pair sync')}`,
  )

/** What ssh's own words mean (OpenSSH 9.2), and what to do. */
const ways: [RegExp, (to: string, who: string) => string][] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    (to, who) =>
      `${to} shows another host key than the one that ssh knows, so it may be another machine. If it was set up anew, forget the old one as ${who} (ssh-keygen -R ${to.replace(/^.*@/, '')}), and type: ssh ${to}`,
  ],
  [
    /Host key verification failed/,
    (to, who) => `ssh does not know the host key of ${to} yet. As ${who}, look at it once and say yes: ssh ${to}`,
  ],
  [
    /Permission denied/,
    (to, who) => `${to} takes no key of ${who}. Give it one (ssh-copy-id ${to}), or name another with --to.`,
  ],
  [
    /timed out|refused|unreachable|No route|resolve|closed|reset/i,
    (to) => `ssh does not reach ${to}. See that it is on, and that sshd answers there, or name another with --to.`,
  ],
]

function unreached(to: string, stderr: string): Stop {
  const who = calledBySudo() ?? 'this user'
  const found = ways.find(([words]) => words.test(stderr))
  const what = found?.[1](to, who) ?? `ssh does not get to ${to} without asking; see what it says: ssh ${to}`
  const said = lastOf(stderr) || 'it says nothing'
  return new Stop(exitCodes.precondition, `${what.replace(/[.:]? ?$/, '')} (ssh: ${said}). Nothing was changed.`)
}

/** What a shell or sudo there says before any rop of ours runs (dash, bash, zsh, fish, sudo 1.9). */
const before: [RegExp, (to: string) => string][] = [
  [
    /rop: .*(not found|no such file)|not found: rop|command not found.*rop/i,
    (to) => `${to} has no rop in the PATH that ssh gives it; install remote-ollama-proxy there first`,
  ],
  [
    /sudo: .*password|a terminal is required|is not in the sudoers|not allowed to/i,
    (to) =>
      `sudo asks ${to} for a password; allow \`sudo rop\` there without one (NOPASSWD), or send it to root with --to`,
  ],
  [
    /sudo: (command )?not found|not found: sudo/i,
    (to) => `${to} is not root there, and there is no sudo; send it to root with --to`,
  ],
]

function declined(to: string, code: number, stderr: string): Stop {
  const last = lastOf(stderr)
  const found = before.find(([words]) => words.test(last))
  return found
    ? new Stop(exitCodes.precondition, `${found[1](to)} (it says: ${last}). Nothing was changed.`)
    : new Stop(exitCodes.failed, `${to} did not take it: ${last || `rop ended with ${code} there`}`)
}
