#!/bin/sh
# A fresh Mac has no Node: finds Node 20.17 or newer, or brings Homebrew and node; then hands over to install.ts with the same arguments.
set -eu
cd "$(dirname "$0")"

fail() { printf '%s\n' "$2" >&2; exit "$1"; }

recent() { [ -x "$1" ] && "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 17) ? 0 : 1)' 2> /dev/null; }

find_node() {
  for node in "$(command -v node || true)" /opt/homebrew/opt/node/bin/node /opt/homebrew/bin/node /usr/local/bin/node; do
    if recent "$node"; then printf '%s\n' "$node"; return 0; fi
  done
  return 1
}

# Apple silicon's Homebrew first: an Intel one may come before it in PATH.
find_brew() { if [ -x /opt/homebrew/bin/brew ]; then echo /opt/homebrew/bin/brew; else command -v brew; fi; }

consent() {
  for argument in "$@"; do case $argument in --yes) return 0 ;; esac; done
  [ -t 0 ] || fail 2 'Nobody can be asked here; run ./bootstrap.sh --yes, or install Node 20.17 or newer first.'
  printf 'Continue? (Y/n) '
  read -r answer
  case $answer in '' | [Yy]*) ;; *) fail 4 'Nothing was changed.' ;; esac
}

mac() {
  unset SYSTEM_VERSION_COMPAT
  version=$(sw_vers -productVersion)
  [ "${version%%.*}" -ge 14 ] || fail 3 'macOS 14 or newer is needed; upgrade and run this again.'
  [ "$(sysctl -n hw.optional.arm64 2> /dev/null)" = 1 ] || fail 3 'A Mac with Apple silicon is needed; this one has an Intel processor.'
}

[ "$(id -u)" -ne 0 ] || fail 3 'Run this as yourself, without sudo; it asks for your password where macOS needs it.'

if ! node=$(find_node); then
  [ "$(uname -s)" = Darwin ] || fail 3 'Node 20.17 or newer is needed; install it with your package manager and run this again.'
  mac
  for argument in "$@"; do
    case $argument in --dry-run | --json) fail 3 "Node 20.17 or newer is needed for $argument; ./bootstrap.sh --yes brings it." ;; esac
  done
  brew=$(find_brew) || brew=
  echo 'This Mac has no Node 20.17 or newer. It will be brought by:'
  [ -n "$brew" ] || echo '  - Homebrew (https://brew.sh), by its own installer, which asks for your password'
  echo '  - brew install node'
  echo '  - npm ci in this folder (packages from package-lock.json)'
  consent "$@"
  if [ -z "$brew" ]; then
    installer=$(mktemp)
    curl -fsSL --retry 3 -o "$installer" https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh ||
      fail 3 'Homebrew could not be downloaded; look at the network and run this again.'
    # uname decides Homebrew's folder, and a translated shell would get an Intel one.
    arch -arm64 /bin/bash "$installer" || fail 1 'Homebrew was not installed; its own words are above.'
    rm -f "$installer"
    brew=$(find_brew) || fail 1 'Homebrew was installed, but brew was not found in /opt/homebrew/bin.'
  fi
  HOMEBREW_NO_ASK=1 HOMEBREW_NO_INSTALL_UPGRADE=1 HOMEBREW_NO_ENV_HINTS=1 HOMEBREW_NO_ANALYTICS=1 "$brew" install node ||
    fail 1 'node was not installed; the words of brew are above.'
  node=$(find_node) || fail 1 'node was installed, but was not found; open a new terminal and run this again.'
fi

# A Node that PATH finds already is not moved before the Mac's own programs.
if [ "$(command -v node || true)" != "$node" ]; then
  PATH="$(dirname "$node"):$PATH"
  export PATH
fi
[ -d node_modules/zx ] || npm ci --omit=dev --no-audit --no-fund || fail 1 'npm ci failed; its own words are above.'
exec "$node" --import tsx install.ts "$@"
