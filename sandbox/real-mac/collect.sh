#!/bin/sh
# What is kept of a run, be it good or bad: our logs and configuration, launchd's and HAProxy's own words, reports of crashes.
set -u
results=${REAL_MAC_RESULTS:-${RUNNER_TEMP:-${TMPDIR:-/tmp}}/real-mac}
mkdir -p "$results/collected"

keep() { [ ! -e "$1" ] || cp -R "$1" "$results/collected/"; }

keep "$HOME/Library/Logs/remote-ollama-proxy"
keep "$HOME/.haproxy/haproxy.cfg"
keep "$HOME/.haproxy/haproxy.cfg.last-good"
keep "$HOME/Library/Logs/DiagnosticReports"
if command -v log > /dev/null; then
  log show --last 2h --style compact --predicate 'process == "launchd" OR process == "haproxy"' > "$results/collected/log-show.txt" 2>&1
fi
echo "kept in $results/collected: $(ls "$results/collected" | tr '\n' ' ')"
