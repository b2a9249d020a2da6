import { join } from 'node:path'

/** The commands that the box's launchd can answer for: its own, and those that only look. */
const looking = [
  'launchctl',
  'lsof',
  'netstat',
  'ifconfig',
  'pmset',
  'fdesetup',
  'defaults',
  'socketfilterfw',
  'sysctl',
  'uname',
  'id',
  'sw_vers',
  'brew',
  'ps',
  'tailscale',
  'Tailscale',
  'ollama',
]

/** Stands between the words of a question. */
export const between = '\x1f'

/** What makes a command answer otherwise, and is not told with a question. */
const telling = ['SUDO_UID', 'SSH_CONNECTION', 'SSH_TTY', 'BOX_ARCH', 'SYSTEM_VERSION_COMPAT']

/** A story may leave nearly nothing on the PATH. */
const found = 'PATH="$PATH:/usr/bin:/bin"'

/**
 * Shell lines that have the box's launchd answer, which is a Node that runs already: one of its own for each look
 * would be most of a story's time. They go on where it does not run, cannot answer, or is in another network.
 */
export function askResident(dir: string, name: string): string {
  if (!looking.includes(name)) return ''
  const word = `${name}${{ Tailscale: '$TAILSCALE_BE_CLI', ollama: '$OLLAMA_HOST' }[name] ?? ''}`
  return `run='${join(dir, 'run').replaceAll("'", "'\\''")}'
if [ ! -t 1 ] && [ -z "${telling.map((variable) => `$${variable}`).join('')}" ] && [ -p "$run/asked" ] &&
  read -r launchd <"$run/launchd.pid" && [ /proc/self/ns/net -ef "/proc/$launchd/ns/net" ]; then
  IFS='${between}'
  asked="$$${between}${word}${between}$PWD${between}$#${between}$*"
  unset IFS
  case $asked in *'
'*) ;; *)
    if ${found} mkfifo "$run/asked.$$" 2>/dev/null; then
      exec 3<>"$run/asked.$$" 4<"$run/asked.$$"
      printf '%s\\n' "$asked" >"$run/asked"
      read -r code stream <&4
      exec 3>&-
      [ "$stream" = 0 ] || ${found} cat <&4 >&"$stream"
      [ "$code" = no ] || exit "$code"
      exec 4<&-
    fi ;;
  esac
fi
`
}
