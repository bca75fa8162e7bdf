#!/usr/bin/env bash
# Installs the clients of package-lock.json, once, into a cache outside the tree; prints the folder, which holds
# node_modules. The cache is keyed by the hash of package.json and its lock. Safe to run side by side.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
key=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-16)
cache=${SAFELIGHT_CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/safelight/clients}
dir=$cache/$key
if [ ! -e "$dir/complete" ]; then
  command -v npm >/dev/null || {
    echo "setup.sh: npm is needed to fetch the pinned clients. On Debian: apt-get install npm" >&2; exit 1; }
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
fi
if [ ! -e "$dir/complete" ]; then
  work=$(mktemp -d "$cache/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp "$here/package.json" "$here/package-lock.json" "$work"
  (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2 || {
    echo "setup.sh: npm could not install the clients of $here/package-lock.json (see above). Is the network up?" >&2
    exit 1; }
  touch "$work/complete"
  rm -rf "$dir"
  mv "$work" "$dir"
fi
echo "$dir"
