# Sourced by the jobs.

# What the interfaces carry, a line for each address.
addresses() {
  case $(uname -s) in
    Darwin) ifconfig ;;
    *) ip -o address ;;
  esac
}

# macOS cannot bind an address that is not there yet, and the Tailscale command may open its window when a job calls it;
# so the interfaces are read. A line a minute, no deadline.
wait_for_address() {
  tries=0
  until addresses | grep -qF -e "inet $1 " -e "inet $1/"; do
    if [ $((tries % 60)) -eq 0 ]; then
      echo "$(date '+%Y-%m-%d %H:%M:%S') waiting for $1 (is Tailscale up?)" >&2
    fi
    tries=$((tries + 1))
    sleep 1
  done
}

# Whether an IPv6 address may be bound within so many seconds: on or off (on where there is none to wait for). A new one is
# tentative for a second or two, and macOS lets nobody bind it until it is sure that no other machine has it.
ipv6_within() {
  if [ -z "$2" ]; then echo on; return; fi
  tries=0
  until addresses | grep -F -e "inet6 $2 " -e "inet6 $2/" | grep -qvE ' (anycast|tentative|duplicated|detached|dadfailed)'; do
    if [ $tries -ge "$1" ]; then
      echo "$(date '+%Y-%m-%d %H:%M:%S') starting without $2, which is not there or not ready; IPv4 answers" >&2
      echo off
      return
    fi
    tries=$((tries + 1))
    sleep 1
  done
  echo on
}

# What a job itself says (not its program's log) is appended by launchd for ever: begun anew when it is over 1 MB.
# Elsewhere it has no file.
bound_job_log() {
  if [ -n "$1" ] && [ "$(cat "$1" 2> /dev/null | wc -c)" -gt 1000000 ]; then : > "$1"; fi
}

# Opens file descriptor 3 towards a log that stays bounded; launchd itself never rotates.
open_log() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/job-log.XXXXXX") && mkfifo -m 600 "$folder/log" || exit 1
  # From a subshell, so that it is no child of HAProxy's master, which waits for all of its children before it ends.
  ("$here/bounded-log" "$1" < "$folder/log" &)
  exec 3> "$folder/log"
  rm -r "$folder"
}

# Becomes a script of the runtime copy with the words after it, by Node 20.17 or newer.
become_script() {
  for node in /opt/homebrew/opt/node/bin/node "${NODE:-}" "$(command -v node)"; do
    if [ -x "$node" ] && "$node" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 17) ? 0 : 1)'; then
      cd "$here/../.." || exit 1
      export ROP_TYPED="${ROP_TYPED:-${ROP_WAY:-rop}}"
      exec "$node" --import tsx "$@"
    fi
  done
  case $(uname -s) in
    Darwin) echo "Node 20.17 or newer was not found; install it with: brew install node" >&2 ;;
    *) echo "Node 20.17 or newer was not found; run install again from the checkout: sudo ./bootstrap.sh" >&2 ;;
  esac
  exit 1
}
