#!/bin/sh
# A fresh machine has no Node: finds Node 20.17 or newer, or brings it (a Mac: Homebrew's; Linux: the official one); then hands over to install.ts with the same arguments.
set -euf

# A terminal under Rosetta would get Intel's programs.
if [ "$(sysctl -n sysctl.proc_translated 2> /dev/null)" = 1 ]; then exec arch -arm64 /bin/sh "$0" "$@"; fi
cd "$(dirname "$0")"

for argument in "$@"; do
  case $argument in
    --help | -h)
      echo 'Usage: ./bootstrap.sh [options]'
      echo 'Finds Node 20.17 or newer, or brings it after asking; then runs install.ts with the same options.'
      echo 'On Linux it is run by sudo.'
      echo 'Those are told by: npx tsx install.ts --help'
      exit 0 ;;
    --version)
      sed -n 's/^  "version": "\(.*\)",$/remote-ollama-proxy \1/p' package.json
      exit 0 ;;
  esac
done

fail() { printf '%s\n' "$2" >&2; exit "$1"; }

# An Intel Node runs what it starts under Rosetta, too; install.ts asks the same, so that the two agree.
recent() {
  [ -x "$1" ] && "$1" -e 'const [a, b] = process.versions.node.split(".")
    const { stdout } = require("child_process").spawnSync("sysctl", ["-n", "sysctl.proc_translated"])
    process.exit((a > 20 || (a == 20 && b >= 17)) && parseInt(stdout) !== 1 ? 0 : 1)' 2> /dev/null
}

# In all of PATH, since the first one there may be too old or Intel's.
find_node() (
  IFS=:
  for folder in $PATH /opt/homebrew/opt/node/bin /opt/homebrew/bin /usr/local/bin /usr/local/lib/remote-ollama-proxy/node/bin; do
    if recent "$folder/node"; then printf '%s\n' "$folder/node"; return 0; fi
  done
  return 1
)

# esbuild comes with a program for one processor, and complains when that is another.
packages() { [ -d node_modules/zx ] && "$node" -e 'require("esbuild").transformSync("")' > /dev/null 2>&1; }

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

# Only Apple silicon's Homebrew: an Intel one brings an Intel Node.
bring_node() {
  brew=/opt/homebrew/bin/brew
  echo 'This Mac has no Node 20.17 or newer for its processor. It will be brought by:'
  [ -x "$brew" ] || echo '  - Homebrew (https://brew.sh), by its own installer, which asks for your password'
  echo '  - brew install node'
  echo '  - npm ci in this folder (packages from package-lock.json)'
  other=$(command -v brew || true)
  case $other in '' | "$brew") ;; *) echo "$other and what it installed are left as they are." ;; esac
  consent "$@"
  if [ ! -x "$brew" ]; then
    installer=$(mktemp)
    curl -fsSL --retry 3 -o "$installer" https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh ||
      fail 3 'Homebrew could not be downloaded; look at the network and run this again.'
    # uname decides Homebrew's folder, and a translated shell would get an Intel one.
    arch -arm64 /bin/bash "$installer" || fail 1 'Homebrew was not installed; its own words are above.'
    rm -f "$installer"
    [ -x "$brew" ] || fail 1 "Homebrew was installed, but there is no $brew."
  fi
  HOMEBREW_NO_ASK=1 HOMEBREW_NO_ENV_HINTS=1 HOMEBREW_NO_ANALYTICS=1 "$brew" install node ||
    fail 1 'node was not installed; the words of brew are above.'
  node=$(find_node) || fail 1 "node was installed, but none that fits was found; see: $brew info node"
}

# The newest of the series that this project is tested with; with its hashes over TLS, as nodejs.org offers it.
bring_official_node() {
  place=/usr/local/lib/remote-ollama-proxy/node
  case $(uname -m) in
    x86_64) chip=x64 ;;
    aarch64 | arm64) chip=arm64 ;;
    *) fail 3 "A processor of x86-64 or arm64 is needed; this one is $(uname -m)." ;;
  esac
  command -v curl > /dev/null || fail 3 'curl is needed to bring Node; install it (apt-get install curl) and run this again.'
  echo 'This machine has no Node 20.17 or newer. It will be brought by:'
  echo "  - the official Node of https://nodejs.org, its hash checked, into $place"
  [ -d node_modules/zx ] || echo '  - npm ci in this folder (packages from package-lock.json)'
  consent "$@"
  folder=$(mktemp -d)
  get() { curl -fsSL --retry 3 --proto =https -o "$folder/$2" "https://nodejs.org/dist/latest-v20.x/$1" ||
    fail 3 "https://nodejs.org/dist/latest-v20.x/$1 could not be fetched; look at the network and run this again."; }
  get SHASUMS256.txt sums
  line=$(grep "  node-v20\.[0-9.]*-linux-$chip\.tar\.gz\$" "$folder/sums") || fail 3 "nodejs.org has no Node for $chip."
  get "${line##* }" "${line##* }"
  (cd "$folder" && printf '%s\n' "$line" | sha256sum -c --status) || fail 3 'What nodejs.org gave has another hash than it says, so nothing was installed; run this again.'
  mkdir -p "$place"
  tar -xzf "$folder/${line##* }" -C "$place" --strip-components=1
  rm -rf "$folder"
  node=$place/bin/node
  brought=$place
}

case $(uname -s) in
  Darwin) [ "$(id -u)" -ne 0 ] || fail 3 'Run this as yourself, without sudo; it asks for your password where macOS needs it.' ;;
  *) [ "$(id -u)" -eq 0 ] || fail 3 'On Linux this is run by sudo, which asks for your password once: sudo ./bootstrap.sh' ;;
esac

brought=
if ! node=$(find_node); then
  for argument in "$@"; do
    case $argument in --dry-run | --json) fail 3 "Node 20.17 or newer is needed for $argument; ./bootstrap.sh --yes brings it." ;; esac
  done
  case $(uname -s) in
    Darwin) mac && bring_node "$@" ;;
    *) bring_official_node "$@" ;;
  esac
fi

# A Node that PATH finds already is not moved before the system's own programs.
folder=$(dirname "$node")
found=$(command -v node || true)
if [ "$found" != "$node" ]; then
  PATH="$folder:$PATH"
  export PATH
fi
packages || npm ci --omit=dev --no-audit --no-fund || fail 1 'npm ci failed; its own words are above.'
# On Linux every command is rop afterwards, which has its Node.
if [ "$found" = "$node" ] || { [ "$(uname -s)" != Darwin ] && [ -z "$brought" ]; }; then exec "$node" --import tsx install.ts "$@"; fi

trap : INT
code=0
"$node" --import tsx install.ts "$@" || code=$?
# Where nothing was changed, what was brought for it goes, too.
if [ -n "$brought" ]; then
  case $code in 2 | 3 | 4) rm -rf "$brought"; rmdir "${brought%/*}" 2> /dev/null || true ;; esac
  exit "$code"
fi
# What is printed is for this terminal, which does not find that Node.
printf '\nThis terminal does not find that Node; before any of these commands type: export PATH="%s:$PATH"   (in ~/.zprofile it holds for every new terminal)\n' "$folder" >&2
exit "$code"
